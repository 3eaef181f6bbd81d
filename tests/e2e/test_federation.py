# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus federates from us: values, names and native histograms arrive as they are here."""
import math
import re
import subprocess
import time

import pytest

import harness
from test_remote_read import ORIGINALS, histogram_series

EXTERNAL = "global:\n  external_labels: {cluster: eu}\n"
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = harness.World(tmp_path_factory.mktemp("federation"))
    yield world
    world.close()


@pytest.fixture(scope="module")
def server(world):
    server = world.server(EXTERNAL, "--web.enable-remote-write-receiver", "--enable-feature=native-histograms").start()
    now_ms = int(time.time() * 1000)
    times = [now_ms - 20_000, now_ms - 10_000, now_ms]
    assert server.write([({"__name__": "m", "i": str(i)}, [(t, i + 0.5) for t in times]) for i in range(1000)] +
                        [({"__name__": "own", "cluster": "us", "instance": "x"}, [(now_ms, 3.0)]),
                         ({"__name__": "dotted.name", "a.b": "c"}, [(now_ms, 4.0)])]).status in (200, 204)
    body = b"".join(histogram_series({"__name__": f"h_{flavour}", "i": i}, times, flavour)
                    for flavour in ("integer", "float", "custom") for i in "12")
    assert server.post("/api/v1/write", harness.snappy_literals(body), harness.REMOTE_WRITE_HEADERS).status in (200, 204)
    return server


def native_histograms(binary):
    """What makes that original scrape them: the feature, since 3.8 a setting."""
    printed = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    major, minor = map(int, re.search(r"version (\d+)\.(\d+)", printed).groups())
    return "  scrape_native_histograms: true\n" if (major, minor) >= (3, 8) else ""


@pytest.fixture(scope="module", params=ORIGINALS)
def reader(request, world, server):
    text = ("scrape_configs:\n- job_name: federate\n  scrape_interval: 1s\n  honor_labels: true\n  metrics_path: /federate\n"
            f"{native_histograms(ORIGINALS[request.param])}"
            f"  params: {{'match[]': ['{{__name__=~\"m|own|h_.+|dotted.+\"}}']}}\n"
            f"  static_configs: [{{targets: ['127.0.0.1:{server.port}']}}]\n")
    one = world.server(text, "--enable-feature=native-histograms", data=f"data-{request.param}",
                       binary=ORIGINALS[request.param], name=f"reader-{request.param}").start()
    harness.wait_until("the federated series", lambda: one.query("count(m)") == {"{}": "1000"})
    return one


@pytest.mark.parametrize("name", ["integer", "float"])
def test_native_histograms_arrive(server, reader, name):
    if "newer" not in reader.name:
        name = "float"  # a 2.42 knows a native histogram by its zero bucket, which the other has not
    (row,) = reader.api("query", query=f'h_{name}{{i="1"}}')["result"]
    (ours,) = server.api("query", query=f'h_{name}{{i="1"}}')["result"]

    assert row["metric"] == {"__name__": f"h_{name}", "i": "1", "cluster": "eu", "job": "federate"}
    assert row["histogram"][1] == ours["histogram"][1]


def test_custom_buckets_become_classic(server, reader):
    (row,) = server.api("query", query='h_custom{i="2"}')["result"]
    count = row["histogram"][1]["count"]
    if "newer" not in reader.name:
        count = "0"  # it does not read counts that are floats

    assert reader.query('h_custom_count{i="2"}') == {'h_custom_count{cluster="eu",i="2",job="federate"}': count}
    buckets = reader.query('h_custom_bucket{i="2"}')
    assert {float(key.split('le="')[1].split('"')[0]) for key in buckets} == {0.5, 1, 2.5, math.inf}
    assert max(map(float, buckets.values())) == float(count)


def test_values_and_labels_arrive(server, reader):
    assert reader.query('m{i="7"}') == {'m{cluster="eu",i="7",job="federate"}': "7.5"}
    assert reader.query("own") == {'own{cluster="us",instance="x",job="federate"}': "3"}
    assert float(reader.query("sum(m)")["{}"]) == sum(i + 0.5 for i in range(1000))


@pytest.mark.parametrize("accept, content_type, name", [
    (PROTOBUF + ";escaping=allow-utf-8;q=0.6,text/plain;q=0.5", "allow-utf-8", b"dotted.name"),
    (PROTOBUF + ";q=0.6,text/plain;q=0.5", "underscores", b"dotted_name"),
])
def test_the_format_is_negotiated(server, accept, content_type, name):
    query = "/federate?match[]={__name__=~%22dotted.%2B%22}"
    binary = harness.http_call(server.url + query, headers={"Accept": accept})
    text = harness.http_call(server.url + query, headers={"Accept": accept.replace("q=0.6", "q=0.3")})
    other = harness.http_call(server.url + query, headers={"Accept": accept.replace("delimited", "text")})

    assert binary.headers["Content-Type"].startswith("application/vnd.google.protobuf")
    assert binary.headers["Content-Type"].endswith("escaping=" + content_type)
    assert name in binary.body and binary.body[0] == len(binary.body) - 1
    assert text.headers["Content-Type"].startswith("text/plain") and text.text.startswith("# TYPE ")
    assert other.headers["Content-Type"].startswith("text/plain")
