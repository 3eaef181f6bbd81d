# SPDX-License-Identifier: Apache-2.0
"""What a stranger may send: each is refused with a reason, and the server goes on as if nothing was."""
import struct
import time

import pytest

import harness

RESIDENT_BYTES_MAX = 256 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    world = harness.World(tmp_path_factory.mktemp("hostile"))
    try:
        yield world.server("global: {}\n", "--web.enable-remote-write-receiver").start()
    finally:
        world.close()


@pytest.fixture(autouse=True)
def server_goes_on(server):
    yield
    assert server.is_running(), server.log_tail()
    assert server.get("/-/healthy").status == 200
    assert server.metric("process_resident_memory_bytes") < RESIDENT_BYTES_MAX


def post(server, body, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.post("/api/v1/write", body, {**harness.REMOTE_WRITE_HEADERS, **named})


def one_sample(labels=(("__name__", "m"),), t_ms=None, value=1.0):
    return [(dict(labels), [(int(time.time() * 1000) if t_ms is None else t_ms, value)])]


GOOD = harness.remote_write_body(one_sample(t_ms=1))

BAD_BODIES = {
    "not snappy": b"\xff" * 100,
    "snappy that ends early": GOOD[:-3],
    "snappy that promises four gigabytes": b"\xff\xff\xff\xff\x0f" + GOOD[1:],
    "snappy that copies from before the start": b"\x0a" + bytes([0 << 2, 0x61]) + b"\x01\xff",
    "protobuf that ends early": harness.snappy_literals(b"\x0a\x7f\x0a"),
    "protobuf with a length of 2^63": harness.snappy_literals(b"\x0a" + b"\xff" * 9 + b"\x01"),
    "protobuf of another kind": harness.snappy_literals(b"\x09" + b"\x00" * 4),
    "an endless varint": harness.snappy_literals(b"\xff" * 11),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_bad_remote_write_body_is_400(server, name):
    reply = post(server, BAD_BODIES[name])

    assert reply.status == 400, reply.text
    assert reply.text.strip()


@pytest.mark.parametrize("headers", [
    {"Content_Type": "text/plain"}, {"Content_Encoding": "gzip"},
    {"Content_Type": "application/x-protobuf;proto=io.prometheus.write.v9.Request"},
])
def test_unknown_encoding_is_415(server, headers):
    assert post(server, GOOD, **headers).status == 415


def test_names_that_cannot_be_are_not_stored(server):
    """Prometheus answers 1.0 senders with success and drops the series; the rest of the batch is kept."""
    now_ms = int(time.time() * 1000)
    batch = [({"job": "nameless"}, [(now_ms, 1)]), ({"__name__": "kept"}, [(now_ms, 2)])]

    reply = server.write(batch)

    assert reply.status in (200, 204, 400)
    assert not server.query('{job="nameless"}')
    assert list(server.query("kept").values()) == ["2"]


def test_label_that_is_not_utf8_is_not_stored(server):
    body = harness.write_request(one_sample((("__name__", "bad_utf8"), ("l", "ZZ")))).replace(b"ZZ", b"\xff\xfe")

    reply = post(server, harness.snappy_literals(body))

    assert reply.status in (200, 204, 400)
    assert not server.query("bad_utf8")


def test_old_and_repeated_samples_are_400_with_a_reason(server):
    now_ms = int(time.time() * 1000)
    labels = (("__name__", "ordered"),)
    assert server.write(one_sample(labels, now_ms)).status in (200, 204)

    older = server.write(one_sample(labels, now_ms - 1000))
    other = server.write(one_sample(labels, now_ms, 2.0))
    same = server.write(one_sample(labels, now_ms))

    assert older.status == 400 and "out of order" in older.text
    assert other.status == 400 and "duplicate" in other.text
    assert same.status in (200, 204)


def test_sample_of_the_far_future_or_past_does_not_stop_the_others(server):
    for t_ms in (2 ** 63 - 1, -2 ** 63, 2 ** 62, -1):
        assert server.write(one_sample((("__name__", f"far_{t_ms % 97}"),), t_ms)).status in (200, 204, 400)

    assert server.write(one_sample((("__name__", "near"),))).status in (200, 204)
    assert server.query("near")


def test_receiver_is_off_unless_asked_for(world):
    server = world.server("global: {}\n").start()

    assert server.write(one_sample()).status == 404


BAD_QUERIES = {
    "deep parentheses": "(" * 20_000 + "1" + ")" * 20_000,
    "deep unary minus": "-" * 50_000 + "1",
    "deep functions": "abs(" * 5_000 + "m" + ")" * 5_000,
    "an unclosed string": 'm{a="',
    "a bad regular expression": 'm{a=~"("}',
    "a regular expression of great size": 'm{a=~"((a{100}){100}){100}"}',
    "nothing": "",
    "a NUL": "m\x00n",
    "half a rune": "m{a=\"\udcff\"}",
}


@pytest.mark.parametrize("name", BAD_QUERIES)
def test_bad_query_is_400_or_answered(server, name):
    body = b"query=" + harness.urllib.parse.quote_from_bytes(
        BAD_QUERIES[name].encode("utf-8", "surrogateescape")).encode()

    reply = server.post("/api/v1/query", body, {"Content-Type": "application/x-www-form-urlencoded"})

    # Deep but regular input may also be computed; it must not end the process.
    if reply.status != 200:
        assert reply.status in (400, 413, 422), reply.text[:300]
        assert reply.json()["status"] == "error"
        assert reply.json()["error"]
    else:
        assert name.startswith("deep")


@pytest.mark.parametrize("parameters", [
    {"start": 0, "end": 1e9, "step": 0.001}, {"start": 10, "end": 1, "step": 1},
    {"start": 0, "end": 10, "step": 0}, {"start": 0, "end": 10, "step": -1},
    {"start": "x", "end": 10, "step": 1}, {"start": 0, "end": "NaN", "step": 1},
    {"start": 0, "end": 1e308, "step": 1},
])
def test_impossible_range_is_400(server, parameters):
    assert server.get("/api/v1/query_range", query="1", **parameters).status == 400


def test_query_beyond_its_memory_is_422(world):
    server = world.server("global: {}\n", "--query.max-samples=100",
                          "--web.enable-remote-write-receiver").start()
    now_ms = int(time.time() * 1000)
    for i in range(4):
        assert server.write([({"__name__": "m", "i": str(k)}, [(now_ms - 4000 + 1000 * i, 1)])
                             for k in range(50)]).status in (200, 204)

    reply = server.get("/api/v1/query", query="m[1m]")

    assert reply.status == 422
    assert "too many samples" in reply.json()["error"]


@pytest.mark.parametrize("path", [
    "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/assets/../../../etc/passwd", "//etc/passwd",
    "/api/v1/label/%00/values", "/api/v1/label/" + "x" * 10_000 + "/values",
])
def test_odd_path_gets_no_file(server, path):
    reply = server.get(path)

    assert reply.status in (200, 301, 302, 400, 404, 414, 431)
    assert "root:" not in reply.text


def raw(server, data, wait_s=5):
    """Bytes on a bare connection; returns what came back until the other side closed or was silent."""
    with harness.socket.create_connection(("127.0.0.1", server.port), timeout=wait_s) as connection:
        connection.sendall(data)
        answer = b""
        try:
            # The other side may have closed already: then there is nothing left to shut.
            connection.shutdown(harness.socket.SHUT_WR)
            while piece := connection.recv(65536):
                answer += piece
        except OSError:
            pass
        return answer


@pytest.mark.parametrize("data", [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
    b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    struct.pack("<I", 0) * 1000,
])
def test_odd_bytes_on_a_connection_are_survived(server, data):
    try:
        answer = raw(server, data)
    except ConnectionError:
        answer = b""  # the server may hang up before it has read all

    assert not answer or answer.startswith(b"HTTP/1.") or answer[:1] == b"\x15"
