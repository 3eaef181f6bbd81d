# SPDX-License-Identifier: Apache-2.0
"""What came to the original between 3.5 and 3.14, of language, API and flags: each line of that list asked once."""
import hashlib
import json
import re
import time

import pytest

from harness import World, http_call, wait_until

FEATURES = ("promql-experimental-functions,promql-extended-range-selectors,promql-binop-fill-modifiers,"
            "promql-per-step-stats,search-api,use-start-timestamps")
STEP_S = 15
COUNT = 40


def load(server):
    """Counters c (two jobs) and d (one), classic buckets b; the time of the last sample."""
    at_s = int(time.time()) // 60 * 60 - 120
    times = [(at_s - (COUNT - 1 - i) * STEP_S) * 1000 for i in range(COUNT)]
    series = [({"__name__": "c", "job": job}, [(t, float(i)) for i, t in enumerate(times)]) for job in "xy"]
    series.append(({"__name__": "d", "job": "x"}, [(t, 100.0) for t in times]))
    series += [({"__name__": "b", "le": le}, [(t, value) for t in times]) for le, value in (("1", 5.0), ("2", 10.0), ("+Inf", 10.0))]
    assert server.write(series).status in (200, 204)
    return at_s


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("since"))
    yield world.server("global: {}\n", "--web.enable-remote-write-receiver", f"--enable-feature={FEATURES}").start()
    world.close()


@pytest.fixture(scope="module")
def at_s(server):
    return load(server)


X, Y = '{job="x"}', '{job="y"}'


@pytest.mark.parametrize("since, query, want", [
    ("3.6", "count_over_time(c[30s + 30s])", {X: "4", Y: "4"}),
    ("3.6", "count_over_time(c[step() + 1m])", {X: "4", Y: "4"}),
    ("3.7", "increase(c[1m] anchored)", {X: "4", Y: "4"}),
    ("3.7", "rate(c[1m] smoothed) * 60", {X: "4", Y: "4"}),
    ("3.7", 'd{job="x"} smoothed', {'d{job="x"}': "100"}),
    ("3.7", "first_over_time(c[1m])", {"c" + X: "36", "c" + Y: "36"}),
    ("3.7", "time() - ts_of_first_over_time(c[1m])", {X: "45", Y: "45"}),
    ("3.10", "c + on (job) fill(1) d", {X: "139", Y: "40"}),
    ("3.10", "d - on (job) fill_left(9) c", {X: "61", Y: "-30"}),
    ("3.10", "d - on (job) fill_right(9) c", {X: "61"}),
    ("3.11", "c </ 5", {}),
    ("3.11", 'histogram_quantiles(b, "q", 0.5, 0.75)', {'{q="0.5"}': "1", '{q="0.75"}': "1.5"}),
    ("3.12", "end() - start() + range() + step()", {"scalar": "0"}),
    ("3.13", "max_of(1, 2) + min_of(5, 7)", {"scalar": "7"}),
    ("3.13", "count_over_time(c[max_of(30s, 1m)])", {X: "4", Y: "4"}),
    ("3.14", "start_timestamp(c)", {X: "0", Y: "0"}),
])
def test_language(server, at_s, since, query, want):
    got = {re.sub(r"^\{\}$", "", series): value for series, value in server.query(query, time=at_s).items()}

    assert got == want, since


def test_what_needs_a_feature_and_what_does_not(world):
    plain = world.server("global: {}\n", "--enable-feature=promql-duration-expr,native-histograms,ooo-native-histograms,nothing-of-the-kind",
                         "--storage.tsdb.delay-compact-file.path=", "--storage.tsdb.block-reload-interval=1m").start()

    for query in ("count_over_time(c[30s + 30s])", "first_over_time(c[1m])"):
        assert plain.get("/api/v1/query", query=query).status == 200, query
    for query in ("increase(c[1m] anchored)", "c smoothed", "ts_of_first_over_time(c[1m])", "c + on () fill(1) d",
                  'histogram_quantiles(b, "q", 0.5)', "start()", "max_of(1, 2)", "start_timestamp(c)"):
        reply = plain.get("/api/v1/query", query=query)
        assert reply.status == 400 and reply.json()["errorType"] == "bad_data", query
    assert plain.get("/api/v1/search/metric_names").status == 500
    assert "nothing-of-the-kind" in plain.log()


def test_range_queries(server, at_s):
    span = {"start": at_s - 300, "end": at_s, "step": 60}

    assert {v for _, v in server.api("query_range", query="range() + step()", **span)["result"][0]["values"]} == {"360"}
    sorted_reply = server.get("/api/v1/query_range", query="sort(c)", **span).json()
    assert "sort is ineffective for range queries" in sorted_reply["warnings"][0]
    stats = server.get("/api/v1/query_range", query="rate(c[2m])", stats="some", **span).json()
    samples = stats["data"]["stats"]["samples"]
    assert 0 < samples["samplesRead"] < samples["totalQueryableSamples"]
    assert any("deprecated" in warning for warning in stats["warnings"])
    per_step = server.api("query_range", query="rate(c[2m])", stats="all", **span)["stats"]["samples"]
    assert sum(n for _, n in per_step["samplesReadPerStep"]) == per_step["samplesRead"] == samples["samplesRead"]


@pytest.mark.parametrize("since, path, status, has", [
    ("3.6", "/api/v1/status/tsdb/blocks", 200, '"blocks":['),
    ("3.8", "/api/v1/write", 405, ""),
    ("3.9", "/api/v1/status/tsdb?limit=10000", 200, "seriesCountByMetricName"),
    ("3.9", "/api/v1/status/tsdb?limit=10001", 400, "bad_data"),
    ("3.9", "/api/v1/features", 200, '"promql_functions":{'),
    ("3.10", "/api/v1/openapi.yaml", 200, "openapi: 3.1"),
    ("3.10", "/api/v1/openapi.yaml?openapi_version=3.2", 200, "openapi: 3.2"),
    ("3.12", "/api/v1/status/self_metrics?metric_name_pattern=prometheus_build_info", 200, "prometheus_build_info"),
    ("3.13", "/api/v1/search/label_names?search[]=jo", 200, '"name":"job"'),
])
def test_paths(server, at_s, since, path, status, has):
    reply = server.get(path)

    assert reply.status == status and has in reply.text, (since, reply.text[:300])


def test_series_cannot_be_deleted_by_their_path(server):
    assert http_call(server.url + "/api/v1/series?match[]=c", method="DELETE").status == 405


def test_a_block_that_claims_to_be_huge_is_refused(server):
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}

    assert server.post("/api/v1/write", b"\xff\xff\xff\xff\x0f\x00a", headers).status == 400


RULES = """\
groups:
- name: one
  interval: 1s
  rules:
  - alert: Now
    expr: vector(1)
    annotations:
      length: '{{ 61 | toDuration }}'
      now: '{{ now }}'
      query: '{{ "a b&c" | urlQueryEscape }}'
- name: two
  interval: 1000h
  rules:
  - alert: Later
    expr: vector(1)
"""


def test_rules(world):
    world.write_file("rules.yml", RULES)
    server = world.server("rule_files: [rules.yml]\n").start()

    def alert():
        found = server.api("alerts")["alerts"]
        return found[0] if found else None
    notes = wait_until("the alert", alert)["annotations"]
    assert notes["length"] == "1m1s" and notes["query"] == "a+b%26c"
    assert abs(float(notes["now"]) - time.time()) < 120
    page = server.api("rules", group_limit=1)
    group = page["groups"][0]
    token = hashlib.sha256(f"{page['groups'][0]['file']};two".encode()).hexdigest()
    assert group["name"] == "one" and page["groupNextToken"] == token
    later = server.api("rules", group_limit=1, group_next_token=token)["groups"][0]
    assert later["name"] == "two"
    assert later["rules"][0]["state"] == "unknown" and later["rules"][0]["health"] == "unknown"
    assert server.get("/api/v1/rules", group_limit=1, group_next_token="0" * 64).status == 400


def test_steps_of_relabelling(world):
    server = world.server("""\
scrape_configs:
- job_name: pool
  static_configs: [{targets: ['127.0.0.1:1']}]
  relabel_configs:
  - {target_label: zone, replacement: eu}
  - {source_labels: [keep], regex: 'yes', action: keep}
""").start()

    steps = server.api("targets/relabel_steps", scrapePool="pool", labels=json.dumps({"__address__": "a:1", "keep": "no"}))["steps"]

    assert [step["keep"] for step in steps] == [True, False]
    assert steps[0]["output"]["zone"] == "eu"
