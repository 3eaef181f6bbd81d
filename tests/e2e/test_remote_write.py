# SPDX-License-Identifier: Apache-2.0
"""Remote write out: what one server has, the other has too, whoever is killed in between."""
import os
import shutil
import threading
import time

import pytest

import harness

SELECTOR = '{__name__=~"pushed_.*"}'
SERIES = 60


class VictoriaMetrics(harness.Server):
    def wait_ready(self, deadline_s=harness.DEADLINE_S):
        harness.wait_until("VictoriaMetrics", lambda: self.get("/health").status == 200, deadline_s)

    def samples(self, selector, span, at_s=None):
        self.get("/internal/force_flush")
        # A request that it had when it ended without an answer comes again: it keeps both copies of each sample.
        return {series: list(dict.fromkeys(points))
                for series, points in super().samples(selector, span, at_s).items()}


def victoria_metrics(world):
    binary = os.environ.get("VICTORIA_METRICS_BIN") or shutil.which("victoria-metrics")
    if not binary:
        pytest.skip("victoria-metrics is not installed (VICTORIA_METRICS_BIN names it)")
    port = harness.free_port()
    command = [binary, f"-storageDataPath={world.directory / 'vm'}",
               f"-httpListenAddr=127.0.0.1:{port}", "-search.latencyOffset=0s",
               "-search.disableCache"]
    return world._add(VictoriaMetrics(command, world.directory, port, "victoria-metrics"))


def receiver(world, kind):
    if kind == "victoria-metrics":
        return victoria_metrics(world)
    flags = ["--web.enable-remote-write-receiver"]
    if kind == "prometheus":
        return world.prometheus("global: {}\n", *flags, data="receiver")
    return world.server("global: {}\n", *flags, data="receiver", name="receiver")


def sender(world, url, more="", extra=""):
    config = f"""global: {{scrape_interval: 1h}}
remote_write:
  - url: {url}/api/v1/write
    name: there
    queue_config: {{batch_send_deadline: 200ms, max_samples_per_send: 100, max_backoff: 500ms}}
{more}{extra}"""
    return world.server(config, "--web.enable-remote-write-receiver", data="sender", name="sender")


def pour(server, stop, done):
    """Writes a round of samples every 20 ms, as far as the server lives; done[0] is how many it took."""
    rounds = 0
    while not stop.is_set():
        t_ms = int(time.time() * 1000)
        series = [({"__name__": f"pushed_{i % 7}", "i": str(i)}, [(t_ms, rounds + i / 8)])
                  for i in range(SERIES)]
        try:
            rounds += server.write(series).status == 204
        except OSError:
            pass
        done[0] = rounds
        time.sleep(0.02)


def same_samples(one, other):
    at_s = time.time() + 1
    ours = one.samples(SELECTOR, "10m", at_s)
    assert len(ours) == SERIES
    return ours == other.samples(SELECTOR, "10m", at_s)


@pytest.mark.parametrize("kind,message", [
    ("prometheus", "prometheus.WriteRequest"),
    ("victoria-metrics", "prometheus.WriteRequest"),
    ("narthex", "prometheus.WriteRequest"),
    ("narthex", "io.prometheus.write.v2.Request"),
])
def test_same_samples_on_both_sides_after_kills_of_either(world, kind, message):
    there = receiver(world, kind).start()
    here = sender(world, there.url, f"    protobuf_message: {message}\n").start()
    stop, done = threading.Event(), [0]
    thread = threading.Thread(target=pour, args=(here, stop, done))
    thread.start()
    try:
        for _ in range(2):
            time.sleep(1)
            here.kill()
            here.start()
            time.sleep(1)
            # What VictoriaMetrics has acknowledged lies in memory for seconds: a kill is not what it promises to survive.
            if kind == "victoria-metrics":
                there.stop()
            else:
                there.kill()
            time.sleep(0.5)
            there.start()
        harness.wait_until("many rounds", lambda: done[0] > 50)
    finally:
        stop.set()
        thread.join()
    harness.wait_until("the same samples on both sides", lambda: same_samples(here, there), pause_s=0.3)


def test_what_came_while_the_receiver_was_away_arrives(world):
    there = receiver(world, "narthex")
    here = sender(world, there.url).start()
    now_ms = int(time.time() * 1000)
    for k in range(200):
        series = [({"__name__": f"pushed_{i % 7}", "i": str(i)}, [(now_ms - 200_000 + k * 1000, k)])
                  for i in range(SERIES)]
        assert here.write(series).status == 204
    begin = time.monotonic()
    here.stop()
    assert time.monotonic() - begin < 50  # it does not wait for an endpoint that is away as for one that answers: a minute
    here.start()
    there.start()
    harness.wait_until("the same samples on both sides", lambda: same_samples(here, there), pause_s=0.3)
    name = '{remote_name="there",url="%s/api/v1/write"}' % there.url
    assert here.metric("prometheus_remote_storage_samples_failed_total" + name) == 0
    assert here.metric("prometheus_remote_storage_samples_total" + name) > 0


def test_late_samples_are_forwarded_too(world):
    window = "storage: {tsdb: {out_of_order_time_window: 1h}}\n"
    there = world.server(window, "--web.enable-remote-write-receiver", data="receiver",
                         name="receiver").start()
    here = sender(world, there.url, extra=window).start()
    now_ms = int(time.time() * 1000)
    for offset in (0, -600_000, -300_000):
        series = [({"__name__": f"pushed_{i % 7}", "i": str(i)}, [(now_ms + offset, i)])
                  for i in range(SERIES)]
        assert here.write(series).status == 204

    def arrived():
        got = there.samples(SELECTOR, "20m", time.time() + 1)
        return len(got) == SERIES and all(len(s) == 3 for s in got.values())
    harness.wait_until("late samples", arrived)


def test_a_wrong_block_is_told_with_its_line(world):
    for block, want in (
            ("[{url: 'http://x/', protobuf_message: nonsense}]", "unknown remote write protobuf message nonsense"),
            ("[{url: 'ftp://x/'}]", "no http or https URL"),
            ("[{url: 'http://x/', headers: {Authorization: x}}]", "authorization header must be"),
            ("[{url: 'http://x/', sigv4: {region: r}, basic_auth: {username: u}}]", "at most one of basic_auth"),
            ("[{url: 'http://x/', azuread: {cloud: AzurePublic}}]", "must provide an Azure Managed Identity"),
            ("[{url: 'http://x/', queue_config: {min_shards: 5, max_shards: 2}}]", "min_shards"),
            ("[{url: 'http://x/', name: a}, {url: 'http://y/', name: a}]", "found multiple"),
            ("[{url: 'http://x/'}, {url: 'http://x/'}]", "duplicate remote write configs")):
        server = world.server(f"remote_write: {block}\n", data="wrong", name="wrong")
        server.start(ready=False)
        assert server.process.wait(30) == 2
        assert want in server.log(), server.log()
        assert "wrong.yml:1:" in server.log()
