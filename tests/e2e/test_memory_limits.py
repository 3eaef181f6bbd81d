# SPDX-License-Identifier: Apache-2.0
"""Memory of queries is limited, for one and for all together: what is refused is refused alone, and the process stays small."""
import concurrent.futures
import json
import time
import urllib.parse

import pytest

import harness

SERIES = 2500
SAMPLES = 480
STEP_MS = 5000
ONE_BYTES = 32 << 20
ALL_BYTES = 96 << 20
# Beside what is counted: stacks, what the allocator keeps, one small block of each thread. A sanitizer keeps what was freed for
# a while, too; without a limit the fifty would take 1.6 GB.
SLACK_BYTES = (168 if harness.sanitized() else 40) << 20
FLAGS = ("--query.max-memory=32MB", "--query.max-memory-total=96MB", "--web.enable-remote-write-receiver")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def status_bytes(server, key):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as lines:
        for line in lines:
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    raise AssertionError(key)


def forget_peak(server):
    with open(f"/proc/{server.process.pid}/clear_refs", "w", encoding="ascii") as refs:
        refs.write("5")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    world = harness.World(tmp_path_factory.mktemp("memory"))
    try:
        server = world.server("global: {}\n", *FLAGS).start()
        now_ms = int(time.time() * 1000)
        first_ms = now_ms - SAMPLES * STEP_MS
        for start in range(0, SERIES, 250):
            reply = server.write([
                ({"__name__": "m", "pod": f"pod-{i:05}", "label": "x" * 40},
                 [(first_ms + k * STEP_MS, float(i * k)) for k in range(SAMPLES)])
                for i in range(start, start + 250)])
            assert reply.status in (200, 204), reply.text
        server.end_s = now_ms / 1000
        yield server
    finally:
        world.close()


def ask(server, path, **parameters):
    return harness.http_call(f"{server.url}/api/v1/{path}", urllib.parse.urlencode(parameters).encode(),
                             "POST", FORM, timeout_s=120)


def matrix(server, selector="m"):
    return ask(server, "query", query=f"{selector}[1h]", time=server.end_s)


def is_refused(reply, flag):
    if reply.status != 422:
        return False
    body = reply.json()
    assert body["errorType"] == "execution", body
    return flag in body["error"] and "bytes" in body["error"]


def test_a_query_over_its_limit_is_refused_alone(server):
    reply = matrix(server)

    assert is_refused(reply, "--query.max-memory)"), reply.text[:500]
    assert str(ONE_BYTES) in reply.json()["error"]
    fits = matrix(server, 'm{pod=~"pod-001.."}')
    assert fits.status == 200
    assert sum(len(row["values"]) for row in fits.json()["data"]["result"]) == 100 * SAMPLES


def test_memory_stays_under_its_limit_while_50_hungry_queries_run(server):
    before = status_bytes(server, "VmRSS")
    refused_before = server.metric("narthex_query_memory_refused_total")
    forget_peak(server)

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(lambda _: matrix(server), range(50)))
    peak = status_bytes(server, "VmHWM")

    assert all(is_refused(reply, "--query.max-memory") for reply in replies), [
        reply.text[:200] for reply in replies if reply.status != 422]
    assert peak < before + ALL_BYTES + SLACK_BYTES, (before, peak)
    assert server.metric("narthex_query_memory_refused_total") - refused_before == 50
    assert server.metric("narthex_query_memory_limit_bytes") == ALL_BYTES


def test_queries_that_fit_share_the_memory_of_all(server):
    """Each fits for itself: all are answered whole, or refused for want of memory for all together."""
    before = status_bytes(server, "VmRSS")
    forget_peak(server)

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(lambda _: matrix(server, 'm{pod=~"pod-00[0-6].*"}'), range(50)))
    peak = status_bytes(server, "VmHWM")

    good = [reply for reply in replies if reply.status == 200]
    assert len(good) >= 3, [reply.text[:200] for reply in replies][:3]
    for reply in good:
        rows = json.loads(reply.body)["data"]["result"]
        assert len(rows) == 700 and all(len(row["values"]) == SAMPLES for row in rows)
    for reply in replies:
        assert reply.status == 200 or is_refused(reply, "--query.max-memory-total"), reply.text[:300]
    assert peak < before + ALL_BYTES + SLACK_BYTES, (before, peak)
    harness.wait_until("all memory to be given back",
                       lambda: server.metric("narthex_query_memory_held_bytes") == 0)


@pytest.fixture(scope="module")
def many_labels(tmp_path_factory):
    world = harness.World(tmp_path_factory.mktemp("lookups"))
    try:
        server = world.server("global: {}\n", "--query.max-memory=1100KB",
                              "--web.enable-remote-write-receiver").start()
        now_ms = int(time.time() * 1000)
        for start in range(0, 8000, 1000):
            reply = server.write([({"__name__": "m", "pod": f"pod-{i:05}", f"name_{i:05}": "y"}, [(now_ms, 1.0)])
                                  for i in range(start, start + 1000)])
            assert reply.status in (200, 204), reply.text
        yield server
    finally:
        world.close()


@pytest.mark.parametrize("path", ["series", "labels", "label/pod/values"])
def test_lookups_are_limited_as_queries_are(many_labels, path):
    large = many_labels.get(f"/api/v1/{path}", **{"match[]": "m"})

    assert is_refused(large, "--query.max-memory"), (large.status, large.text[:300])
    assert len(many_labels.query('m{pod="pod-00007"}')) == 1


def test_federation_is_limited_as_queries_are(many_labels):
    large = many_labels.get("/federate", **{"match[]": "m"})
    small = many_labels.get("/federate", **{"match[]": 'm{pod="pod-00007"}'})

    assert large.status == 503 and "--query.max-memory" in large.text, large.text[:300]
    assert small.status == 200, small.text[:300]
