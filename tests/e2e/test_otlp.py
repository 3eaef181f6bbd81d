# SPDX-License-Identifier: Apache-2.0
"""OTLP metrics: what was sent comes out of a query."""
import gzip
import json
import time

import harness

FLOATS = '{__name__!~"native.*",__name__!=""}'
JSON = {"Content-Type": "application/json"}


def attributes(**pairs):
    return [{"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in pairs.items()]


def request(now_s):
    """One resource with every kind of metric, at two times."""
    def at(k):
        return {"startTimeUnixNano": str((now_s - 300) * 10**9), "timeUnixNano": str((now_s - 60 + 30 * k) * 10**9)}
    number = [{**at(k), "asDouble": 1.5 + k, "attributes": attributes(http__method="GET", path="/a")}
              for k in range(2)]
    metrics = [
        {"name": "queue.length", "unit": "1", "description": "How long.", "gauge": {"dataPoints": number}},
        {"name": "temperature", "unit": "Cel", "gauge": {"dataPoints": number[:1]}},
        {"name": "http.requests", "unit": "{request}",
         "sum": {"aggregationTemporality": 2, "isMonotonic": True,
                 "dataPoints": [{**at(k), "asInt": str(7 + k), "attributes": attributes(code="200")} for k in range(2)]}},
        {"name": "io", "unit": "By/s", "sum": {"aggregationTemporality": 2, "isMonotonic": False,
                                               "dataPoints": [{**at(0), "asInt": "-3"}]}},
        {"name": "latency", "unit": "ms", "histogram": {"aggregationTemporality": 2, "dataPoints": [
            {**at(k), "count": str(6 + k), "sum": 20.25, "explicitBounds": [0.5, 1, 10.5],
             "bucketCounts": ["1", "2", str(3 + k), "0"], "attributes": attributes(http__route="/b")} for k in range(2)]}},
        {"name": "native.latency", "unit": "s", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [
            {**at(k), "count": "9", "sum": 12.5, "scale": 9, "zeroCount": "1",
             "positive": {"offset": -3, "bucketCounts": ["1", "2", "0", "0", "0", "0", "0", "3"]},
             "negative": {"offset": 1, "bucketCounts": ["2"]}} for k in range(2)]}},
        {"name": "rpc", "unit": "s", "summary": {"dataPoints": [
            {**at(0), "count": "4", "sum": 2, "quantileValues": [
                {"quantile": 0.5, "value": 0.25}, {"quantile": 0.99, "value": 1}]}]}},
        {"name": "gone", "gauge": {"dataPoints": [{**at(0), "asDouble": 1, "flags": 1}]}},
    ]
    return json.dumps({"resourceMetrics": [{
        "resource": {"attributes": attributes(
            service__name="shop", service__namespace="eu", service__instance__id="i-1", host__name="h1",
            k8s__pod__name="p", _hidden="x")},
        "scopeMetrics": [{"scope": {"name": "lib.metrics", "version": "1.2", "attributes": attributes(a__b="c")},
                          "metrics": metrics}]}]}).encode()


def test_every_kind_of_metric_can_be_queried(world):
    now_s = int(time.time())
    server = world.server("global: {}\n", "--web.enable-otlp-receiver").start()
    reply = server.post("/api/v1/otlp/v1/metrics", gzip.compress(request(now_s)),
                        {**JSON, "Content-Encoding": "gzip"})
    assert (reply.status, reply.body) == (200, b""), reply.text
    got = server.query(FLOATS, time=now_s)
    for key, value in (
            ('queue_length_ratio{http_method="GET",instance="i-1",job="eu/shop",path="/a"}', "2.5"),
            ('http_requests_total{code="200",instance="i-1",job="eu/shop"}', "8"),
            ('io_bytes_per_second{instance="i-1",job="eu/shop"}', "-3"),
            ('latency_milliseconds_bucket{http_route="/b",instance="i-1",job="eu/shop",le="10.5"}', "7"),
            ('rpc_seconds{instance="i-1",job="eu/shop",quantile="0.99"}', "1"),
            ('target_info{host_name="h1",instance="i-1",job="eu/shop",k8s_pod_name="p",key_hidden="x"}', "1")):
        assert got.get(key) == value, (key, sorted(got))
    assert server.query("histogram_count(native_latency_seconds)", time=now_s) == {
        '{instance="i-1",job="eu/shop"}': "9"}
    assert server.api("metadata", metric="queue_length_ratio") is not None


def test_the_receiver_is_off_unless_it_is_asked_for(world):
    server = world.server("global: {}\n").start()
    reply = server.post("/api/v1/otlp/v1/metrics", request(int(time.time())), JSON)
    assert reply.status == 404
    assert "--web.enable-otlp-receiver" in reply.text


def test_a_reload_changes_how_names_are_translated(world):
    server = world.server("global: {}\n", "--web.enable-otlp-receiver", "--web.enable-lifecycle").start()
    world.write_file(f"{server.name}.yml",
                     "otlp: {translation_strategy: NoTranslation, promote_resource_attributes: [host.name]}\n")
    assert server.reload().status == 200
    now_s = int(time.time())
    assert server.post("/api/v1/otlp/v1/metrics", request(now_s), JSON).status == 200
    got = server.query('{"http.requests"}', time=now_s)
    assert got == {'http.requests{code="200",host.name="h1",instance="i-1",job="eu/shop"}': "8"}


def test_a_bad_request_leaves_nothing_behind(world):
    server = world.server("global: {}\n", "--web.enable-otlp-receiver").start()
    body = json.loads(request(int(time.time())))
    body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][2]["sum"]["aggregationTemporality"] = 1
    reply = server.post("/api/v1/otlp/v1/metrics", json.dumps(body).encode(), JSON)
    assert reply.status == 500
    assert 'invalid temporality and type combination for metric "http.requests"' in reply.text
    assert server.query(FLOATS) == {}
    assert server.post("/api/v1/otlp/v1/metrics", b"\xff\xff", {"Content-Type": "application/x-protobuf"}).status == 400
