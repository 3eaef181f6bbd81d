# SPDX-License-Identifier: Apache-2.0
"""An answer of 100 MB goes out while it is written: memory grows with what the query holds, not with its text."""
import time
import urllib.parse
import urllib.request
import zlib

import pytest

import harness
from test_memory_limits import forget_peak, status_bytes

SERIES = 400
STEPS = 11_000
POINTS = SERIES * STEPS
# A point of the evaluation is a value and a mark, one of the result a time and a value.
HELD_BYTES = POINTS * (9 + 16)
# A sanitizer keeps for a while what has been freed. Less than the text of the answer in either case.
SLACK_BYTES = (88 if harness.sanitized() else 24) << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    world = harness.World(tmp_path_factory.mktemp("large"))
    try:
        server = world.server("global: {}\n", "--web.enable-remote-write-receiver").start()
        server.now_ms = int(time.time() * 1000)
        for k in range(0, 60):
            assert server.write([({"__name__": "m", "pod": f"pod-{i:03}"}, [(server.now_ms - 240_000 + k * 4000, i + 1 / (k + 3))])
                                 for i in range(SERIES)]).status in (200, 204)
        server.query("sum(m)")
        yield server
    finally:
        world.close()


def large_query(server):
    end_s = server.now_ms / 1000
    parameters = {"query": "m", "start": end_s - (STEPS - 1) * 0.021, "end": end_s, "step": "0.021"}
    return f"{server.url}/api/v1/query_range?{urllib.parse.urlencode(parameters)}"


def count_points(pieces):
    """Counts values without holding the answer: what a point has and nothing else is '",' or '"]' behind a number."""
    size = points = 0
    tail = b""
    for piece in pieces:
        size += len(piece)
        joined = tail + piece
        points += joined.count(b',"') - tail.count(b',"')
        tail = joined[-1:]
    return size, points


def pieces_of(reply, pause_s=0.0):
    while True:
        piece = reply.read(1 << 20)
        if not piece:
            return
        yield piece
        time.sleep(pause_s)


@pytest.mark.parametrize("pause_s", [0, 0.01], ids=["fast reader", "slow reader"])
def test_memory_does_not_grow_with_the_answer(server, pause_s):
    before = status_bytes(server, "VmRSS")
    forget_peak(server)

    with urllib.request.urlopen(large_query(server), timeout=120) as reply:
        size, points = count_points(pieces_of(reply, pause_s))
    peak = status_bytes(server, "VmHWM")

    assert size > 100_000_000
    assert points >= POINTS
    assert peak - before < HELD_BYTES + SLACK_BYTES, f"{(peak - before) >> 20} MiB for an answer of {size >> 20} MiB"


def test_compressed_answers_are_the_same(server):
    request = urllib.request.Request(large_query(server), headers={"Accept-Encoding": "gzip"})
    unpack = zlib.decompressobj(wbits=31)
    with urllib.request.urlopen(request, timeout=240) as reply:
        assert reply.headers["Content-Encoding"] == "gzip"
        size, points = count_points(unpack.decompress(piece) for piece in pieces_of(reply))

    assert size > 100_000_000 and points >= POINTS and unpack.eof


def test_a_client_that_leaves_frees_what_its_answer_held(server):
    with urllib.request.urlopen(large_query(server), timeout=120) as reply:
        assert len(reply.read(1 << 20)) == 1 << 20

    harness.wait_until("all memory to be given back",
                       lambda: server.metric("narthex_query_memory_held_bytes") == 0)
    assert server.query("count(m)") == {"{}": str(SERIES)}
