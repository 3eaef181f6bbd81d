# SPDX-License-Identifier: Apache-2.0
"""A mistake in the configuration is told with its place, and never replaces what works."""
import re
import signal

import pytest

import harness

# Text, the place (line, column or None where either side of the colon is a fair answer), what it names.
MISTAKES = {
    "unknown key at the top": ("globl:\n  scrape_interval: 1s\n", 1, "globl"),
    "unknown key inside": ("global:\n  scrape_intervall: 1s\n", 2, "scrape_intervall"),
    "bad duration": ("global:\n  scrape_interval: 1parsec\n", 2, "1parsec"),
    "a list where a mapping belongs": ("global:\n  - 1\n", None, "global"),
    "broken YAML": ("global: {\nscrape_configs: ]\n", None, ""),
    "a tab as indentation": ("global:\n\tscrape_interval: 1s\n", 2, ""),
    "bad regular expression": (
        "scrape_configs:\n  - job_name: a\n    relabel_configs:\n      - action: keep\n        source_labels: [a]\n        regex: '('\n", 6, "("),
    "unknown relabel action": (
        "scrape_configs:\n  - job_name: a\n    relabel_configs:\n      - action: sometimes\n", 4,
        "sometimes"),
    "one job name twice": ("scrape_configs:\n  - job_name: a\n  - job_name: a\n", 3, "a"),
    "no job name": ("scrape_configs:\n  - scheme: http\n", 2, "job_name"),
    "timeout above the interval": (
        "scrape_configs:\n  - job_name: a\n    scrape_interval: 1s\n    scrape_timeout: 2s\n", None,
        "timeout"),
    "a target with a path": (
        "scrape_configs:\n  - job_name: a\n    static_configs:\n      - targets: ['h:1/x']\n", 4, "h:1/x"),
    "two kinds of credentials": (
        "scrape_configs:\n  - job_name: a\n    basic_auth: {username: u}\n"
        "    authorization: {credentials: c}\n", None, "basic_auth"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_told_with_its_place(world, name):
    text, line, named = MISTAKES[name]
    config = world.write_file("bad.yml", text)

    shown = world.run("server", f"--config.file={config}", f"--storage.tsdb.path={world.directory}/data",
                      "--web.listen-address=127.0.0.1:0")

    assert shown.returncode == 2
    place = re.search(re.escape(str(config)) + r":(\d+):(\d+)", shown.stderr)
    assert place, shown.stderr
    if line is not None:
        assert int(place.group(1)) == line, shown.stderr
    assert named in shown.stderr


def test_missing_file_is_named(world):
    shown = world.run("server", "--config.file=nowhere.yml", "--web.listen-address=127.0.0.1:0")

    assert shown.returncode == 2
    assert "nowhere.yml" in shown.stderr


GOOD = "global:\n  scrape_interval: 1m\n  external_labels:\n    generation: '{}'\n"
BAD = "global:\n  scrape_interval: never\n"


def running(server):
    return server.api("status/config")["yaml"]


def reload_by_post(server, expect_ok):
    reply = server.reload()
    assert (reply.status == 200) == expect_ok, reply.text
    if not expect_ok:
        assert reply.status == 500
        assert "never" in reply.text
        assert re.search(r"\.yml:2:\d+", reply.text), reply.text


def reload_by_signal(server, expect_ok):
    before = len(server.log())
    server.signal(signal.SIGHUP)
    harness.wait_until("the reload to be logged", lambda: (
        "onfiguration" in server.log()[before:] or "config" in server.log()[before:]))
    harness.wait_until("the outcome", lambda: (
        server.metric("prometheus_config_last_reload_successful") == (1 if expect_ok else 0)))


@pytest.mark.parametrize("reload", [reload_by_post, reload_by_signal])
def test_bad_reload_keeps_the_running_configuration(world, reload):
    server = world.server(GOOD.format(1), "--web.enable-lifecycle").start()
    path = f"{server.name}.yml"

    world.write_file(path, BAD)
    reload(server, expect_ok=False)

    assert "generation: \"1\"" in running(server) or "generation: '1'" in running(server)
    assert server.metric("prometheus_config_last_reload_successful") == 0
    world.write_file(path, GOOD.format(2))
    reload(server, expect_ok=True)
    assert "generation: \"2\"" in running(server) or "generation: '2'" in running(server)
    assert server.metric("prometheus_config_last_reload_successful") == 1


def test_reload_is_refused_without_the_flag(world):
    server = world.server("global: {}\n").start()

    assert server.reload().status == 403


def test_reload_changes_the_targets(world):
    first, second = world.target("which 1\n"), world.target("which 2\n")
    server = world.server(harness.scrape_config(("one", [first.address])), "--web.enable-lifecycle").start()
    harness.wait_until("the first", lambda: server.query('which{job="one"}'))

    world.write_file(f"{server.name}.yml", harness.scrape_config(("two", [second.address])))
    assert server.reload().status == 200

    harness.wait_until("the second", lambda: server.query('which{job="two"}'))
    assert [target["labels"]["job"] for target in server.targets()] == ["two"]


def test_secrets_are_not_shown(world):
    job = ("a", ["127.0.0.1:9"], "basic_auth:\n  username: u\n  password: opensesame")
    server = world.server(harness.scrape_config(job)).start()

    shown = running(server)

    assert "opensesame" not in shown
    assert "<secret>" in shown


def test_changed_files_are_read_without_being_asked(world):
    """--config.auto-reload: the configuration and what it names, rules and files of jobs."""
    target = world.target("which 1\n")
    rules = "groups: [{{name: g, rules: [{{record: r, expr: vector({})}}]}}]\n"
    world.write_file("rules.yml", rules.format(1))
    world.write_file("jobs.yml", "scrape_configs: []\n")
    more = "rule_files: ['rules*.yml']\nscrape_config_files: ['jobs.yml']\n"
    server = world.server(GOOD.format(1) + more, "--config.auto-reload", "--config.auto-reload-interval=1s").start()

    def rule_queries():
        return [rule["query"] for group in server.api("rules")["groups"] for rule in group["rules"]]

    world.write_file(f"{server.name}.yml", GOOD.format(2) + more)
    harness.wait_until("the configuration", lambda: "2" in running(server).split("generation")[1][:6])
    world.write_file("rules.yml", rules.format(2))
    harness.wait_until("the rules", lambda: rule_queries() == ["vector(2)"])
    world.write_file("rules_more.yml", rules.format(3))
    harness.wait_until("a file that is new", lambda: rule_queries() == ["vector(2)", "vector(3)"])
    world.write_file("jobs.yml", f"scrape_configs: [{{job_name: j, static_configs: [{{targets: ['{target.address}']}}]}}]\n")
    harness.wait_until("the jobs", lambda: [one["labels"]["job"] for one in server.targets()] == ["j"])
    # A bad file is told and changes nothing, a good one behind it is taken.
    world.write_file("rules.yml", "groups: [{name: g, rules: [{record: r, expr: 'vector('}]}]\n")
    harness.wait_until("the failure", lambda: server.metric("prometheus_config_last_reload_successful") == 0)
    assert rule_queries() == ["vector(2)", "vector(3)"]
    world.write_file("rules.yml", rules.format(4))
    harness.wait_until("the repair", lambda: rule_queries() == ["vector(4)", "vector(3)"])
    assert server.metric("prometheus_config_last_reload_successful") == 1


@pytest.mark.parametrize("kind", ["server", "prometheus"])
def test_external_labels_take_the_environment(world, monkeypatch, kind):
    """${NAME} and $NAME, $$ for a dollar, nothing for what is not set: in external labels alone."""
    monkeypatch.setenv("E2E_ZONE", "zone-7")
    monkeypatch.delenv("E2E_NONE", raising=False)
    config = ("global:\n  external_labels:\n    a: ${E2E_ZONE}\n    b: x-$E2E_ZONE-y\n    c: $$E2E_ZONE\n"
              "    d: '${E2E_NONE}z'\nscrape_configs:\n- job_name: $E2E_ZONE\n")
    server = getattr(world, kind)(config, "--enable-feature=expand-external-labels" if kind == "prometheus" else
                                  "--log.level=info").start()

    shown = running(server)

    for line in ("a: zone-7", "b: x-zone-7-y", "c: $E2E_ZONE", "d: z"):
        assert f"    {line}\n" in shown, (line, shown)
    assert "job_name: $E2E_ZONE" in shown
