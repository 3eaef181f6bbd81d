# SPDX-License-Identifier: Apache-2.0
"""Agent mode: scrapes and forwards, keeps nothing that could be asked for."""
import time

import pytest

import harness

SELECTOR = '{__name__=~"moving.*"}'


def page():
    return "".join(f'moving{{i="{i}"}} {int(time.time() * 1000) % 100000 + i}\n' for i in range(20))


def forwarding(world, url):
    target = world.target(page)
    return harness.scrape_config(("page", [target.address]), interval="200ms") + f"""remote_write:
  - url: {url}/api/v1/write
    queue_config: {{batch_send_deadline: 200ms}}
"""


@pytest.mark.parametrize("kind", ["prometheus", "narthex"])
def test_what_is_scraped_arrives_over_kills(world, kind):
    flags = ["--web.enable-remote-write-receiver"]
    there = world.prometheus("global: {}\n", *flags, data="there").start() if kind == "prometheus" else \
        world.server("global: {}\n", *flags, data="there", name="there").start()
    here = world.agent(forwarding(world, there.url)).start()
    longest_down_s = 0
    for _ in range(2):
        time.sleep(1.2)
        killed = time.monotonic()
        here.kill()
        here.start()
        longest_down_s = max(longest_down_s, time.monotonic() - killed)
        time.sleep(0.8)
        there.kill()
        time.sleep(0.6)
        there.start()
    harness.wait_until("fresh samples", lambda: float(
        next(iter(there.query("min(timestamp(moving))").values()))) > time.time() - 5)
    scrapes = there.samples(SELECTOR, "5m", time.time() + 1)
    assert len(scrapes) == 20
    # Every series has the sample of every scrape: none was lost, none came twice.
    times = {tuple(t for t, _ in points) for points in scrapes.values()}
    longest = max(times, key=len)
    assert all(longest[:len(one)] == one and len(longest) - len(one) <= 1 for one in times)
    assert len(longest) > 10
    # Nothing is missing where the agent was alive: the largest gap is its kill.
    assert max(b - a for a, b in zip(longest, longest[1:])) < longest_down_s + 5


def test_what_a_store_would_answer_is_refused(world):
    here = world.agent("global: {}\n").start()
    for path in ("query?query=up", "query_range?query=up&start=0&end=1&step=1", "labels", "label/a/values",
                 "series?match[]=up", "rules", "alerts", "status/tsdb", "query_exemplars?query=up&start=0&end=1"):
        reply = here.get("/api/v1/" + path)
        assert reply.status == 422, path
        assert reply.json()["error"] == "unavailable with Prometheus Agent"
        assert reply.json()["errorType"] == "execution"
    for path in ("targets", "metadata", "status/config", "status/flags", "status/buildinfo", "status/runtimeinfo"):
        assert here.get("/api/v1/" + path).status == 200, path
    assert here.get("/-/healthy").status == 200
    assert here.metric("prometheus_agent_active_series") == 0


def test_what_is_pushed_is_forwarded(world):
    there = world.server("global: {}\n", "--web.enable-remote-write-receiver", data="there", name="there").start()
    here = world.agent(forwarding(world, there.url), "--web.enable-remote-write-receiver").start()
    assert here.write([({"__name__": "pushed"}, [(int(time.time() * 1000), 7.5)])]).status == 204
    harness.wait_until("the sample", lambda: there.query("pushed") == {"pushed{}": "7.5"})


@pytest.mark.parametrize("config,want", [
    ("rule_files: [a.yml]\n", "field rule_files is not allowed in agent mode"),
    ("remote_read: [{url: 'http://x/'}]\n", "field remote_read is not allowed in agent mode"),
    ("alerting: {alertmanagers: [{static_configs: [{targets: ['a:1']}]}]}\n",
     "field alerting is not allowed in agent mode"),
])
def test_blocks_without_use_are_refused(world, config, want):
    here = world.agent(config)
    here.start(ready=False)
    assert here.process.wait(30) == 2
    assert want in here.log()


def test_flags_of_the_other_mode_are_refused(world):
    reply = world.run("server", "--agent", "--query.timeout=1m")
    assert reply.returncode == 3
    assert 'can not be used in agent mode: ["--query.timeout"]' in reply.stderr
    reply = world.run("server", "--storage.agent.path=x")
    assert reply.returncode == 3
    assert 'can only be used in agent mode: ["--storage.agent.path"]' in reply.stderr


def test_the_original_takes_the_folder_over(world):
    here = world.agent(harness.scrape_config(("page", [world.target(page).address]), interval="200ms")).start()
    harness.wait_until("series", lambda: here.metric("prometheus_agent_active_series") > 20)
    assert here.stop() == 0
    theirs = world.server("global: {}\n", binary=harness.original("prometheus"), name="theirs")
    theirs.command = [word for word in theirs.command if not word.startswith("--storage.tsdb.path")]
    theirs.command += ["--enable-feature=agent", f"--storage.agent.path={world.directory / 'agent'}"]
    theirs.start()
    assert theirs.metric("prometheus_agent_active_series") > 20
    assert theirs.metric("prometheus_agent_corruptions_total") in (None, 0)
