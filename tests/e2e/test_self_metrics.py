# SPDX-License-Identifier: Apache-2.0
"""/api/v1/status/self_metrics tells what /metrics tells, as JSON of the original's form."""
import math
import re

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
              "process_network_receive_bytes_total", "process_network_transmit_bytes_total"}
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
