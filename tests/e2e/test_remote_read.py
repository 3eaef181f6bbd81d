# SPDX-License-Identifier: Apache-2.0
"""Real Prometheus servers read from us by remote_read: the same samples as we answer ourselves, histograms included."""
import concurrent.futures
import os
import struct
import time

import pytest

import harness
from harness import _field, _varint

# The original as Debian has it asks for samples in one piece; a newer one, if it is named, for streamed chunks.
ORIGINALS = {"packaged": harness.original("prometheus")}
if os.environ.get("NEWER_PROMETHEUS_BIN"):
    ORIGINALS["newer"] = os.environ["NEWER_PROMETHEUS_BIN"]
EXTERNAL = "global:\n  external_labels: {cluster: eu, replica: a}\n"
STEP_MS = 10_000
SAMPLES = 300


def _double(field, value):
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _number(field, value):
    return _varint(field << 3) + _varint(value)


def _zigzag(value):
    return (value << 1) ^ (value >> 63)


def histogram(t_ms, k, flavour):
    """A Histogram message: integer, float or custom buckets."""
    counts = [k + 1, 2 * k, 3]
    span = _field(11, _number(1, _zigzag(0 if flavour == "custom" else -2)) + _number(2, 3))
    body = _double(3, 1.5 * k) + _number(4, _zigzag(-53 if flavour == "custom" else 3)) + span
    if flavour == "float":
        body = _double(2, sum(counts) + 0.5) + body + _double(5, 1e-128) + _double(7, 0.5)
        body += _field(13, b"".join(struct.pack("<d", c) for c in counts))
    else:
        deltas = [counts[0]] + [b - a for a, b in zip(counts, counts[1:])]
        body = _number(1, sum(counts)) + body
        body += _field(12, b"".join(_varint(_zigzag(d)) for d in deltas))
    if flavour == "custom":
        body += _field(16, struct.pack("<ddd", 0.5, 1.0, 2.5))
    return body + _number(15, t_ms)


def histogram_series(labels, points, flavour):
    pairs = b"".join(_field(1, _field(1, n.encode()) + _field(2, v.encode())) for n, v in sorted(labels.items()))
    return _field(1, pairs + b"".join(_field(4, histogram(t, k, flavour)) for k, t in enumerate(points)))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = harness.World(tmp_path_factory.mktemp("remote_read"))
    yield world
    world.close()


@pytest.fixture(scope="module")
def server(world):
    server = world.server(EXTERNAL, "--web.enable-remote-write-receiver", "--enable-feature=native-histograms",
                          "--storage.remote.read-sample-limit=20000",
                          "--storage.remote.read-concurrent-limit=2").start()
    now_ms = int(time.time() * 1000)
    start_ms = now_ms - SAMPLES * STEP_MS
    times = [start_ms + i * STEP_MS for i in range(SAMPLES)]
    odd = ["nan", "inf", "-inf", "-0.0", "1e-300", "0.1"]
    assert server.write(
        [({"__name__": "m", "i": f"{i:02}", "snow": "\u2603"},
          [(t, float(k * i) / 7) for k, t in enumerate(times)]) for i in range(20)] +
        [({"__name__": "odd"}, [(t, float(odd[k % len(odd)])) for k, t in enumerate(times)]),
         ({"__name__": "dotted.name", "dotted.label": "x"}, [(t, 2.0) for t in times]),
         ({"__name__": "own_replica", "replica": "mine"}, [(t, 1.0) for t in times])]).status in (200, 204)
    body = b"".join(histogram_series({"__name__": f"h_{flavour}"}, times, flavour)
                    for flavour in ("integer", "float", "custom"))
    reply = server.post("/api/v1/write", harness.snappy_literals(body), harness.REMOTE_WRITE_HEADERS)
    assert reply.status in (200, 204), reply.text
    server.first_ms, server.last_ms = times[0], times[-1]
    return server


@pytest.fixture(scope="module", params=ORIGINALS)
def reader(request, world, server):
    config = f"remote_read:\n  - url: {server.url}/api/v1/read\n    read_recent: true\n"
    return world.server(config, data=f"data-{request.param}", binary=ORIGINALS[request.param],
                        name=f"reader-{request.param}").start()


def answers(one, query, at_s):
    instant = one.api("query", query=query, time=at_s)["result"]
    ranged = one.api("query_range", query=query, start=at_s - 2000, end=at_s, step=37)["result"]
    for rows in (instant, ranged):
        rows.sort(key=lambda row: harness.series_key(row["metric"]))
    return instant, ranged


def without_external(rows):
    for row in rows:
        if row["metric"].get("replica") == "a":
            del row["metric"]["replica"]
        row["metric"].pop("cluster", None)
    return rows


QUERIES = ["m", "sum by (i) (m)", 'm{i=~"0[1-3]"}', 'm{i!="05",i!~"1."}', "odd", "own_replica",
           "max_over_time(m[599s])", "m offset 10m - m"]
# What Debian's, a 2.42, does not know or reads otherwise: windows open on the left, names of UTF-8, histograms over the wire.
NEWER = ["rate(m[5m])", "quantile_over_time(0.5, m[10m])", '{"dotted.name"}', "h_integer", "h_float", "h_custom",
         "histogram_quantile(0.9, rate(h_integer[5m]))", "histogram_count(h_float)", "sum(h_integer)",
         "histogram_quantile(0.5, rate(h_custom[5m]))"]


def is_newer(reader):
    return "newer" in reader.name


@pytest.mark.parametrize("query", QUERIES + NEWER)
def test_the_original_reads_what_we_answer(server, reader, query):
    if query in NEWER and not is_newer(reader):
        query = "count(m)"
    at_s = server.last_ms / 1000
    ours = answers(server, query, at_s)
    theirs = [without_external(rows) for rows in answers(reader, query, at_s)]

    assert ours[0] and ours[1]
    assert theirs[0] == ours[0]
    assert theirs[1] == ours[1]


def test_raw_samples_are_the_same(server, reader):
    at_s = server.last_ms / 1000
    for selector in ("m", "odd"):
        theirs = reader.api("query", query=f"{selector}[1h]", time=at_s)["result"]
        ours = server.api("query", query=f"{selector}[1h]", time=at_s)["result"]
        assert len(ours[0]["values"]) == SAMPLES
        theirs = {harness.series_key(row["metric"]): row["values"] for row in without_external(theirs)}
        assert theirs == {harness.series_key(row["metric"]): row["values"] for row in ours}


def test_an_external_label_can_be_asked_for(server, reader):
    at_s = server.last_ms / 1000

    assert len(reader.api("query", query='m{cluster="eu"}', time=at_s)["result"]) == 20
    assert len(reader.api("query", query='m{cluster="us"}', time=at_s)["result"]) == 0
    assert len(reader.api("query", query='{replica="mine"}', time=at_s)["result"]) == 1


def test_series_come_through(server, reader):
    span = {"start": server.first_ms / 1000, "end": server.last_ms / 1000}

    assert len(reader.api("series", **{"match[]": "m"}, **span)) == 20


# ---- the wire -----------------------------------------------------------------------------------

READ_HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
                "X-Prometheus-Remote-Read-Version": "0.1.0"}


def read_request(server, name, types=(), queries=1):
    matcher = _field(3, _field(2, b"__name__") + _field(3, name.encode()))
    query = _number(1, server.first_ms) + _number(2, server.last_ms) + matcher
    return _field(1, query) * queries + b"".join(_number(2, t) for t in types)


def send(server, body):
    return server.post("/api/v1/read", harness.snappy_literals(body), READ_HEADERS)


def frames(body):
    """The messages of a streamed answer."""
    at = 0
    while at < len(body):
        length, at = harness.read_varint(body, at)
        yield body[at + 4:at + 4 + length]
        at += 4 + length
    assert at == len(body)


def test_frames_are_small_if_asked_for(tmp_path):
    world = harness.World(tmp_path)
    try:
        server = world.server("global: {}\n", "--web.enable-remote-write-receiver",
                              "--storage.remote.read-max-bytes-in-frame=2000").start()
        now_ms = int(time.time() * 1000)
        server.first_ms, server.last_ms = now_ms - 1_000_000, now_ms
        assert server.write([({"__name__": "m"}, [(now_ms - 1000 * k, 0.1 * k) for k in range(999, -1, -1)])]
                            ).status in (200, 204)

        reply = send(server, read_request(server, "m", types=[1]))
        sizes = [len(frame) for frame in frames(reply.body)]

        assert reply.status == 200 and len(sizes) >= 5, sizes
        assert max(sizes) < 2400
    finally:
        world.close()


def test_too_many_samples_are_refused(server):
    fits = send(server, read_request(server, "m", queries=3))
    too_many = send(server, read_request(server, "m", queries=4))
    streamed = send(server, read_request(server, "m", queries=4, types=[1]))

    assert fits.status == 200 and streamed.status == 200
    assert too_many.status == 400 and "exceeded sample limit (20000)" in too_many.text


def test_unknown_answer_types_are_refused_and_known_ones_chosen(server):
    assert send(server, read_request(server, "m", types=[7])).status == 400
    assert "streamed" in send(server, read_request(server, "m", types=[7, 1, 0])).headers["Content-Type"]
    assert send(server, read_request(server, "m", types=[0, 1])).headers["Content-Encoding"] == "snappy"


def test_more_readers_than_allowed_wait(server):
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: send(server, read_request(server, "m", types=[1])), range(40)))

    assert {reply.status for reply in replies} == {200}
    assert len({reply.body for reply in replies}) == 1
    harness.wait_until("the gate to be empty", lambda: server.metric("prometheus_remote_read_handler_queries") == 0)


def test_a_read_over_its_memory_is_refused(tmp_path):
    world = harness.World(tmp_path)
    try:
        server = world.server("global: {}\n", "--web.enable-remote-write-receiver", "--query.max-memory=2MB").start()
        now_ms = int(time.time() * 1000)
        server.first_ms, server.last_ms = now_ms - 400_000, now_ms
        assert server.write([({"__name__": "m", "i": str(i)}, [(now_ms - 1000 * k, 0.1 * k) for k in range(399, -1, -1)])
                             for i in range(200)]).status in (200, 204)

        whole = send(server, read_request(server, "m"))
        streamed = send(server, read_request(server, "m", types=[1]))

        assert whole.status == 400 and "--query.max-memory" in whole.text, whole.text[:200]
        assert streamed.status == 200 and len(list(frames(streamed.body))) == 200
        harness.wait_until("all memory to be given back",
                           lambda: server.metric("narthex_query_memory_held_bytes") == 0)
    finally:
        world.close()
