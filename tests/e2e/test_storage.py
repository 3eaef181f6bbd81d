# SPDX-License-Identifier: Apache-2.0
"""The head is cut into blocks of Prometheus' format, and nothing changes for the reader."""
import time

import pytest

import harness

STEP_MS = 15_000
SERIES = 20
SPAN_MS = 5 * 3600_000


def value_of(series, t_ms):
    return float((t_ms // STEP_MS) * (series + 1) % 10007)


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """A server that took five hours of samples and has cut at least one block of them."""
    world = harness.World(tmp_path_factory.mktemp("storage"))
    try:
        server = world.server("global: {}\n", "--web.enable-remote-write-receiver").start()
        end_ms = int(time.time() * 1000) // STEP_MS * STEP_MS
        batch_ms = 100 * STEP_MS
        for first_ms in range(end_ms - SPAN_MS, end_ms, batch_ms):
            times = range(first_ms, min(first_ms + batch_ms, end_ms), STEP_MS)
            reply = server.write([({"__name__": "long", "series": str(i)},
                                   [(t, value_of(i, t)) for t in times]) for i in range(SERIES)])
            assert reply.status in (200, 204), reply.text
        world.end_ms = end_ms
        world.data = world.directory / "data"
        harness.wait_until("a block", lambda: harness.blocks(world.data), deadline_s=200)
        settle(world, server)
        yield world, server
    finally:
        world.close()


def settle(world, server):
    """Until all is cut that can be, and no file comes or goes: what is copied then is whole."""
    def files():
        assert server.metric("prometheus_tsdb_head_max_time") - server.metric("prometheus_tsdb_head_min_time") <= 3 * 3600_000
        found = sorted(str(path) for path in world.data.rglob("*"))
        assert not any(".tmp" in path for path in found)
        return found
    seen = []
    def same():
        before, seen[:] = seen[:], files()
        return before == seen
    harness.wait_until("no file to come or go", same, deadline_s=200, pause_s=1)


def all_samples(server, world):
    return server.samples("long", "6h", world.end_ms / 1000)


def wanted_samples(world):
    times = range(world.end_ms - SPAN_MS, world.end_ms, STEP_MS)
    return {f'long{{series="{i}"}}': [(t / 1000, value_of(i, t)) for t in times] for i in range(SERIES)}


def as_numbers(samples):
    return {series: [(t, float(v)) for t, v in rows] for series, rows in samples.items()}


def test_block_is_aligned_and_described(cut):
    world, _ = cut

    first = harness.blocks(world.data)[0]

    assert first["version"] == 1
    assert first["maxTime"] % 7200_000 == 0
    assert first["maxTime"] - first["minTime"] <= 7200_000
    assert first["stats"]["numSeries"] == SERIES
    assert first["stats"]["numSamples"] > 0
    assert first["compaction"]["level"] == 1
    assert first["compaction"]["sources"] == [first["ulid"]]


def test_no_sample_is_lost_or_doubled_by_the_cut(cut):
    world, server = cut

    assert as_numbers(all_samples(server, world)) == wanted_samples(world)


def test_promtool_lists_and_analyzes_the_blocks(cut):
    world, _ = cut
    ulids = [meta["ulid"] for meta in harness.blocks(world.data)]

    listed = harness.promtool("tsdb", "list", "-r", world.data)
    analyzed = harness.promtool("tsdb", "analyze", world.data, ulids[0])

    assert listed.returncode == 0, listed.stderr
    assert all(ulid in listed.stdout for ulid in ulids)
    assert analyzed.returncode == 0, analyzed.stderr
    assert f"Series: {SERIES}" in analyzed.stdout


def test_promtool_dumps_every_sample_of_the_directory(cut):
    world, _ = cut
    copy = world.copy_data(copy="dumped")

    dumped = harness.promtool("tsdb", "dump", world.directory / copy)

    assert dumped.returncode == 0, dumped.stderr
    lines = [line for line in dumped.stdout.splitlines() if "long" in line]
    assert len(lines) == SERIES * SPAN_MS // STEP_MS


def test_prometheus_serves_the_same_from_a_copy(cut):
    world, server = cut
    world.copy_data(copy="served")

    theirs = all_samples(world.prometheus(data="served").start(), world)

    assert all_samples(server, world) == theirs


def test_samples_in_records_of_version_two_come_back_after_a_kill(tmp_path):
    world = harness.World(tmp_path)
    try:
        server = world.server("global: {}\n", "--web.enable-remote-write-receiver",
                              "--storage.tsdb.wal-samples=v2").start()
        end_ms = int(time.time() * 1000) // STEP_MS * STEP_MS
        for t in range(end_ms - 40 * STEP_MS, end_ms, STEP_MS):
            reply = server.write([({"__name__": "dense", "series": str(i)}, [(t, value_of(i, t))])
                                  for i in range(SERIES)])
            assert reply.status in (200, 204), reply.text
        before = server.samples("dense", "30m", end_ms / 1000)
        assert [len(rows) for rows in before.values()] == [40] * SERIES

        server.kill()
        server.start()

        assert server.samples("dense", "30m", end_ms / 1000) == before
    finally:
        world.close()


# The last of this file: it ends the server of the others.
@pytest.mark.parametrize("ending", ["kill", "stop"])
def test_restart_finds_blocks_and_head(cut, ending):
    world, server = cut
    getattr(server, ending)()

    server.start()

    assert as_numbers(all_samples(server, world)) == wanted_samples(world)
