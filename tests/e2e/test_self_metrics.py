# SPDX-License-Identifier: Apache-2.0
"""/api/v1/status/self_metrics tells what /metrics tells, as JSON of the original's form."""
import math
import re
import struct

import pytest

import harness

LINE = re.compile(r'^([a-z_A-Z0-9:]+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z0-9_]+)="((?:[^"\\]|\\.)*)"')


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    world = harness.World(tmp_path_factory.mktemp("self_metrics"))
    try:
        server = world.server("global: {}\n").start()
        for _ in range(5):
            server.query("vector(1)")
        yield server
    finally:
        world.close()


def number(value):
    return float({"Infinity": "inf", "-Infinity": "-inf", "NaN": "nan"}.get(value, value))


def flatten(families):
    """{(name, labels): value} as the text has them."""
    out = {}
    for family in families:
        for metric in family["metric"]:
            labels = {pair["name"]: pair["value"] for pair in metric.get("label", [])}

            def put(suffix, value, **more):
                out[family["name"] + suffix, tuple(sorted({**labels, **more}.items()))] = number(value)
            kind = family["type"].lower()
            inner = metric[kind]
            if kind in ("counter", "gauge", "untyped"):
                put("", inner["value"])
                continue
            put("_count", inner["sampleCount"])
            put("_sum", inner["sampleSum"])
            for bucket in inner.get("bucket", []):
                put("_bucket", bucket["cumulativeCount"], le=f"{bucket['upperBound']:g}")
            for quantile in inner.get("quantile", []):
                put("", quantile["value"], quantile=f"{quantile['quantile']:g}")
    return out


def parse_text(text):
    out = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = LINE.match(line).groups()
        pairs = dict(LABEL.findall(labels or ""))
        for key in ("le", "quantile"):
            if key in pairs and pairs[key] != "+Inf":
                pairs[key] = f"{float(pairs[key]):g}"
        if pairs.get("le") != "+Inf":
            out[name, tuple(sorted(pairs.items()))] = float(value)
    return out


def test_it_tells_what_the_text_tells(server):
    text = parse_text(server.get("/metrics").text)
    told = flatten(server.api("status/self_metrics"))

    moving = {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_virtual_memory_bytes", "process_open_fds",
              "process_network_receive_bytes_total", "process_network_transmit_bytes_total",
              "net_conntrack_listener_conn_accepted_total", "net_conntrack_listener_conn_closed_total",
              "narthex_query_memory_held_bytes"}  # given back just behind the answer
    assert {key for key in text if "http_" not in key[0]} <= told.keys()
    for key, value in text.items():
        if key[0] in moving or "http_" in key[0]:
            continue
        assert told[key] == value or (math.isnan(value) and math.isnan(told[key])), key
    kinds = {family["type"] for family in server.api("status/self_metrics")}
    assert kinds >= {"COUNTER", "GAUGE", "HISTOGRAM", "SUMMARY"}


def test_a_pattern_chooses_whole_names(server):
    names = [family["name"] for family in server.api("status/self_metrics", metric_name_pattern="prometheus_engine_quer.*")]
    assert names == sorted(names) and "prometheus_engine_queries" in names
    assert all(name.startswith("prometheus_engine_quer") for name in names)
    assert server.api("status/self_metrics", metric_name_pattern="engine") == []

    refused = server.get("/api/v1/status/self_metrics", metric_name_pattern="(")
    assert refused.status == 400 and refused.json()["errorType"] == "bad_data"
    assert refused.json()["error"].startswith("invalid metric_name_pattern: ")


ACCEPT = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at


def fields(data):
    """(number, value) of a message; nested ones and strings as bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 1:
            value, at = struct.unpack("<d", data[at:at + 8])[0], at + 8
        else:
            assert key & 7 == 2
            length, at = varint(data, at)
            value, at = data[at:at + length], at + length
        yield key >> 3, value


def test_metrics_are_told_in_protobuf_as_in_text(server):
    reply = harness.http_call(server.url + "/metrics", headers={"Accept": ACCEPT})
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited")
    text = {match.group(1) for match in map(LINE.match, server.get("/metrics").text.splitlines()) if match}
    at, told, types = 0, set(), {}
    while at < len(reply.body):
        length, at = varint(reply.body, at)
        family, at = list(fields(reply.body[at:at + length])), at + length
        name = dict(family)[1].decode()
        types[name] = dict(family)[3]
        assert [number for number, _ in family].count(4) > 0, name
        for metric in (value for number, value in family if number == 4):
            parts = {number: list(fields(value)) for number, value in fields(metric) if number != 1}
            assert len(parts) == 1, name
            (number, value), = parts.items()
            assert number == {0: 3, 1: 2, 2: 4, 3: 5, 4: 7}[types[name]]
            if number in (4, 7):
                told |= {name + "_count", name + "_sum"} & text
                bounds = [dict(fields(part))[2] for n, part in value if n == 3 and number == 7]
                assert bounds == sorted(bounds)
                told |= {name + "_bucket"} & text if number == 7 else set()
                told |= {name} if number == 4 and any(n == 3 for n, _ in value) else set()
            else:
                told.add(name)
    assert told == text
    assert types["prometheus_http_request_duration_seconds"] == 4
    assert types["prometheus_http_requests_total"] == 0


def test_metrics_come_in_what_the_client_likes_best(server):
    for accept, kind in (("text/plain", "text/plain"), (ACCEPT + ";q=0.5,text/plain;q=0.9", "text/plain"), ("*/*", "text/plain"),
                         (ACCEPT + ",text/plain;q=0.5", "application/vnd.google.protobuf")):
        assert harness.http_call(server.url + "/metrics", headers={"Accept": accept}).headers["Content-Type"].startswith(kind), accept
