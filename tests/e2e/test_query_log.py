# SPDX-License-Identifier: Apache-2.0
"""What is kept of queries: the query log, the queries of a crash, statistics in answers."""
import json
import threading
import time
import urllib.parse

import pytest

import harness

RULES = "groups:\n- name: g\n  interval: 1s\n  rules: [{record: a, expr: 'vector(1)'}]\n"


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def ask_all(server):
    """One query of each kind."""
    server.api("query_range", query="up", start=1, end=100, step=7.5)
    server.api("query", query="up + a", time=1700000000)
    harness.http_call(f"{server.url}/api/v1/query", urllib.parse.urlencode({"query": "vector(2)"}).encode(), "POST",
                      {"Content-Type": "application/x-www-form-urlencoded"})
    assert server.get("/api/v1/query", query="a + on() group_left() {job=~'x'} + on() vector(1)").status == 200
    assert server.get("/api/v1/query", query="rate(").status == 400


def logged(world, server, name):
    path = world.directory / name
    ask_all(server)
    harness.wait_until("a rule in the query log", lambda: any("ruleGroup" in line for line in lines(path)))
    return lines(path)


def config(world, name):
    world.write_file("rules.yml", RULES)
    return f"global: {{query_log_file: {name}}}\nrule_files: [rules.yml]\n"


def test_lines_have_the_fields_of_the_original(tmp_path):
    world = harness.World(tmp_path)
    try:
        ours = logged(world, world.server(config(world, "ours.log")).start(), "ours.log")
        theirs = logged(world, world.prometheus(config(world, "theirs.log"), data="theirs").start(), "theirs.log")
    finally:
        world.close()

    for query in ("up", "up + a", "vector(2)"):
        mine = next(line for line in ours if line["params"]["query"] == query)
        original = next(line for line in theirs if line["params"]["query"] == query)
        assert mine["params"].keys() == original["params"].keys()
        for key in ("end", "start", "step"):
            if query != "vector(2)":
                assert mine["params"][key] == original["params"][key]
        assert mine["httpRequest"] == original["httpRequest"]
        assert mine["stats"]["timings"].keys() == original["stats"]["timings"].keys()
        assert original["stats"].get("samples", {}).keys() <= mine["stats"]["samples"].keys()
    rule = next(line for line in ours if "ruleGroup" in line)
    original = next(line for line in theirs if "ruleGroup" in line)
    assert rule["ruleGroup"].keys() == original["ruleGroup"].keys()
    assert rule["ruleGroup"]["name"] == "g" and rule["params"]["query"] == "vector(1)"
    assert not [line for line in ours if line["params"]["query"] == "rate("]


def test_a_reload_opens_the_file_anew_and_a_bad_one_is_refused(tmp_path):
    world = harness.World(tmp_path)
    try:
        server = world.server("global: {query_log_file: q.log}\n", "--web.enable-lifecycle").start()
        config_path = tmp_path / f"{server.name}.yml"
        server.query("vector(1)")
        assert len(lines(tmp_path / "q.log")) == 1
        assert server.metric("prometheus_engine_query_log_enabled") == 1
        (tmp_path / "q.log").rename(tmp_path / "old.log")
        server.query("vector(2)")
        assert len(lines(tmp_path / "old.log")) == 2

        assert server.reload().status == 200
        server.query("vector(3)")
        assert [line["params"]["query"] for line in lines(tmp_path / "q.log")] == ["vector(3)"]

        config_path.write_text("global: {query_log_file: no/such/folder/q.log}\n")
        refused = server.reload()
        assert refused.status == 500 and "query log" in refused.text, refused.text
        server.query("vector(4)")
        assert len(lines(tmp_path / "q.log")) == 2

        config_path.write_text("global: {}\n")
        assert server.reload().status == 200
        server.query("vector(5)")
        assert len(lines(tmp_path / "q.log")) == 2
        assert server.metric("prometheus_engine_query_log_enabled") == 0
    finally:
        world.close()


def test_queries_that_a_crash_cut_short_are_told_at_the_next_start(tmp_path):
    world = harness.World(tmp_path)
    slow = "count(count_over_time(vector(1)[3000h:1s]))"
    try:
        server = world.server("global: {}\n", "--query.max-concurrency=3", "--query.max-samples=1000000000").start()
        assert (tmp_path / "data" / "queries.active").stat().st_size == 3001

        def ask():
            try:
                server.get("/api/v1/query", query=slow)
            except OSError:
                pass  # it dies with the server
        thread = threading.Thread(target=ask)
        thread.start()
        harness.wait_until("the query to run",
                           lambda: b"count_over_time" in (tmp_path / "data" / "queries.active").read_bytes())
        server.kill()
        thread.join()
        again = world.server("global: {}\n").start()
        log = again.log()
        assert "These queries didn't finish in the last run" in log and "count_over_time(vector(1)[3000h:1s])" in log
        assert again.stop() == 0
        third = world.server("global: {}\n").start()
        assert "didn't finish" not in third.log()
    finally:
        world.close()


def test_a_query_that_takes_too_long_says_so(tmp_path):
    world = harness.World(tmp_path)
    slow = "count(count_over_time(vector(1)[3000h:1s]))"
    try:
        server = world.server("global: {query_log_file: q.log}\n", "--query.timeout=10ms",
                              "--query.max-samples=1000000000").start()
        for parameters in ({}, {"timeout": "5m"}, {"timeout": "0.002"}):
            reply = server.get("/api/v1/query", query=slow, **parameters)
            assert reply.status == 503 and reply.json()["errorType"] == "timeout", reply.text
        assert {line["error"].split(" in ")[0] for line in lines(tmp_path / "q.log")} == {"query timed out"}
    finally:
        world.close()


def test_samples_are_limited(tmp_path):
    world = harness.World(tmp_path)
    try:
        server = world.server("global: {}\n", "--query.max-samples=100", "--web.enable-remote-write-receiver").start()
        now_ms = int(time.time() * 1000)
        assert server.write([({"__name__": "m"}, [(now_ms - 1000 * k, 1.0) for k in range(200, -1, -1)])]
                            ).status in (200, 204)
        reply = server.get("/api/v1/query", query="m[10m]")
        assert reply.status == 422 and reply.json()["errorType"] == "execution"
        assert "too many samples" in reply.json()["error"]
        assert len(server.api("query", query="m[10s]")["result"]) == 1
    finally:
        world.close()


# Statistics: what was loaded, exactly as the original counts it.

# peakSamples is not compared: it tells what an evaluation holds at once, and ours holds other things.
STATS_QUERIES = [
    "m", "m[5m]", "m offset 5m", "sum(m)", "sum by (i) (m)", "rate(m[5m])", "m + m", "m + on(i) m", "m * 2", "vector(1)",
    "1 + 2", "topk(2, m)", "quantile(0.5, m)", "absent(m)", "absent(nosuch)", "m and m", "m or nosuch", "m unless m", "-m",
    "sum(rate(m[5m])) / count(m)", "label_replace(m, 'a', '$1', 'i', '(.*)')", "timestamp(m)", "abs(m)", "m > 3",
    "count_values('v', m)", "sort(m)", "scalar(sum(m))",
    "m @ 1700000603", "max_over_time(m[5m] @ 1700000603)", "max_over_time(m[5m:1m])", "sum_over_time(rate(m[2m])[5m:30s])",
    "sum(max_over_time(m[5m:1m] @ 1700000603))", "avg_over_time(sum(m)[3m:1m])", "timestamp(m @ 1700000603)",
]
# The packaged original counts a histogram as one sample.
HISTOGRAM_QUERIES = ["h", "rate(h[5m])", "sum(h)", "histogram_quantile(0.5, h)", "last_over_time(h[3m])",
                     "count_over_time(h[5m:1m])", "h @ 1700000603"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The same data behind us and the original."""
    from test_remote_read import ORIGINALS, histogram_series
    world = harness.World(tmp_path_factory.mktemp("stats"))
    try:
        server = world.server("global: {}\n", "--web.enable-remote-write-receiver",
                              "--enable-feature=native-histograms", "--storage.tsdb.retention.time=100y").start()
        times = [1700000000_000 + i * 15_000 for i in range(100)]
        assert server.write([({"__name__": "m", "i": str(i)}, [(t, float(k * i)) for k, t in enumerate(times)])
                             for i in range(7)]).status in (200, 204)
        body = histogram_series({"__name__": "h"}, times, "integer")
        assert server.post("/api/v1/write", harness.snappy_literals(body),
                           harness.REMOTE_WRITE_HEADERS).status in (200, 204)
        assert server.stop() == 0
        flags = ["--enable-feature=promql-per-step-stats", "--storage.tsdb.retention.time=100y"]
        world.copy_data("data", "theirs")
        ours = world.server("global: {}\n", *flags).start()
        original = ORIGINALS.get("newer", ORIGINALS["packaged"])
        theirs = world.server("global: {}\n", *flags, data="theirs", binary=original, name="original").start()
        theirs.is_newer = "newer" in ORIGINALS
        yield ours, theirs
    finally:
        world.close()


@pytest.mark.parametrize("query", STATS_QUERIES + HISTOGRAM_QUERIES)
def test_statistics_are_those_of_the_original(pair, query):
    ours, theirs = pair
    if query in HISTOGRAM_QUERIES and not theirs.is_newer:
        query = "m"
    at = {"query": query, "time": 1700001007, "stats": "all"}
    span = {"query": query, "start": 1700000307, "end": 1700001207, "step": 60, "stats": "all"}
    for path, parameters in (("query", at), ("query_range", span)):
        if path == "query_range" and query == "m[5m]":
            continue
        mine = ours.api(path, **parameters)["stats"]["samples"]
        original = theirs.api(path, **parameters)["stats"]["samples"]
        assert mine.pop("peakSamples") >= 0 and mine.pop("samplesRead") >= 0
        original.pop("peakSamples")
        original.pop("samplesRead", None)
        # Newer than the packaged original.
        per_step = mine.pop("samplesReadPerStep")
        assert per_step == original.pop("samplesReadPerStep", per_step)
        assert mine == original, path


def test_statistics_are_given_only_when_asked_for(pair):
    ours, _ = pair
    assert "stats" not in ours.api("query", query="m")
    assert "totalQueryableSamplesPerStep" not in ours.api("query", query="m", stats="true")["stats"]["samples"]
    odd = ours.get("/api/v1/query", query="m", stats="yes").json()
    assert "stats" in odd["data"] and odd["warnings"]
