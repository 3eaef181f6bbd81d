# SPDX-License-Identifier: Apache-2.0
"""The requests that Grafana's Prometheus data source makes, in the form in which it makes them."""
import struct
import time
import urllib.parse

import pytest

import harness

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
STEP_S = 15

RULES = """\
groups:
- name: panel
  interval: 1s
  rules:
  - record: job:requests:rate
    expr: sum by (job) (rate(requests_total[1m]))
  - alert: Always
    expr: vector(1)
    labels: {severity: page}
"""


@pytest.fixture
def server(world):
    rules = world.write_file("panel.rules", RULES)
    one = world.server(f"rule_files: ['{rules}']\n", "--web.enable-remote-write-receiver",
                       "--enable-feature=exemplar-storage").start()
    one.end_s = int(time.time()) // STEP_S * STEP_S
    samples = [(t * 1000, float(n * 3)) for n, t in enumerate(range(one.end_s - 600, one.end_s, STEP_S))]
    reply = one.write([({"__name__": "requests_total", "job": job, "code": code}, samples)
                       for job in ("api", "db") for code in ("200", "500")])
    assert reply.status in (200, 204), reply.text
    return one


def ask(server, path, **fields):
    """POST of a form, as the data source does by default."""
    reply = server.post("/api/v1/" + path, urllib.parse.urlencode(fields, doseq=True).encode(), FORM)
    assert reply.status == 200, reply.text
    assert reply.headers["Content-Type"].startswith("application/json")
    body = reply.json()
    assert body["status"] == "success"
    return body["data"]


def test_save_and_test(server):
    data = ask(server, "query", query="1+1", time=str(server.end_s))
    assert data == {"resultType": "scalar", "result": [server.end_s, "2"]}
    # By the version it decides what to ask for.
    build = server.api("status/buildinfo")
    assert [int(part) for part in build["version"].split(".")] >= [3, 14, 0]
    assert server.get("/version").json() == build
    # Our own version stands beside it, and on every other page.
    name, own = build["revision"].split("-")
    assert name == "narthex" and server.metric(f'narthex_build_info{{version="{own}"}}') == 1
    assert f'prometheus_build_info{{version="{build["version"]}"' in server.get("/metrics").text


def test_a_panel(server):
    data = ask(server, "query_range", query="sum by (job) (rate(requests_total[1m]))",
               start=str(server.end_s - 300), end=str(server.end_s - 60), step=str(STEP_S))
    assert data["resultType"] == "matrix"
    assert [row["metric"] for row in data["result"]] == [{"job": "api"}, {"job": "db"}]
    for row in data["result"]:
        assert [t for t, _ in row["values"]] == list(range(server.end_s - 300, server.end_s - 59, STEP_S))
        assert all(abs(float(v) - 0.4) < 1e-9 for _, v in row["values"])


def test_variables_and_the_query_builder(server):
    span = {"start": str(server.end_s - 600), "end": str(server.end_s)}
    # label_values(requests_total{code="500"}, job)
    assert server.api("label/job/values", **{"match[]": 'requests_total{code="500"}'}, **span) == ["api", "db"]
    assert "requests_total" in server.api("label/__name__/values", **span)
    assert ask(server, "labels", **{"match[]": "requests_total"}, **span) == ["__name__", "code", "job"]
    series = ask(server, "series", **{"match[]": 'requests_total{job="db"}'}, **span)
    assert series == [{"__name__": "requests_total", "job": "db", "code": code} for code in ("200", "500")]


def exemplar_request(labels, t_ms, trace, value):
    """A series of remote write 1.0 with one sample and one exemplar."""
    def label(name, text):
        return harness._field(1, harness._field(1, name.encode()) + harness._field(2, text.encode()))

    def point(t_ms):
        return b"\x10" + harness._varint(t_ms)
    one = b"".join(label(*pair) for pair in sorted(labels.items()))
    one += harness._field(2, b"\x09" + struct.pack("<d", 1) + point(t_ms))
    one += harness._field(3, label("trace_id", trace) + b"\x11" + struct.pack("<d", value) + b"\x18" + harness._varint(t_ms))
    return harness._field(1, one)


def test_exemplars_and_metadata(server):
    t_ms = (server.end_s - 60) * 1000
    body = exemplar_request({"__name__": "latency_bucket", "le": "1", "job": "api"}, t_ms, "4bf92f", 0.5)
    assert server.post("/api/v1/write", harness.snappy_literals(body), harness.REMOTE_WRITE_HEADERS).status in (200, 204)
    span = {"start": str(server.end_s - 600), "end": str(server.end_s)}

    exemplars = ask(server, "query_exemplars", query="histogram_quantile(0.9, rate(latency_bucket[1m]))", **span)

    assert exemplars == [{"seriesLabels": {"__name__": "latency_bucket", "job": "api", "le": "1"},
                          "exemplars": [{"labels": {"trace_id": "4bf92f"}, "value": "0.5", "timestamp": t_ms // 1000}]}]
    assert ask(server, "query_exemplars", query="requests_total", **span) == []
    assert isinstance(server.api("metadata", limit_per_metric="1", metric="latency_bucket"), dict)


def test_the_list_of_rules_and_alerts(server):
    harness.wait_until("an alert fires", lambda: server.api("alerts")["alerts"])
    alert, = server.api("alerts")["alerts"]
    assert alert["labels"] == {"alertname": "Always", "severity": "page"} and alert["state"] == "firing"
    group, = server.api("rules")["groups"]
    assert [rule["type"] for rule in group["rules"]] == ["recording", "alerting"]
    group, = server.api("rules", type="alert")["groups"]
    rule, = group["rules"]
    assert rule["state"] == "firing" and rule["query"] == "vector(1)" and len(rule["alerts"]) == 1
    assert server.api("rules", type="record", **{"rule_name[]": "Always"}) == {"groups": []}


def test_an_error_is_told_with_its_place(server):
    reply = server.post("/api/v1/query_range", urllib.parse.urlencode(
        {"query": "sum(", "start": "0", "end": "1", "step": "1"}).encode(), FORM)
    assert reply.status == 400
    assert reply.json()["errorType"] == "bad_data"
    assert "1:5" in reply.json()["error"]
