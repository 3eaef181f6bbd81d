# SPDX-License-Identifier: Apache-2.0
"""What an operator may tell the storage: flags, the section `storage` of the file and its reload, blocks put into the folder, deletions."""
import shutil
import struct

import pytest

import harness

DAY_S = 86400
START_S = 1700000000


@pytest.mark.parametrize("section, flags, shown, days, size, percentage", [
    ("", [], "15d", 15, 0, 0),
    ("", ["time=3d", "size=1GB"], "3d or 1GiB", 3, 1 << 30, 0),
    ("retention: ", ["time=3d"], "3d", 3, 0, 0),
    ("retention: {}", [], "", 0, 0, 0),
    ("retention: {time: 0s}", ["time=3d"], "", 0, 0, 0),
    ("retention: {size: 1GB}", ["time=3d"], "1GiB", 0, 1 << 30, 0),
    ("retention: {time: 5d}", ["size=1GB"], "5d", 5, 0, 0),
    ("retention: {percentage: 12.5}", ["time=3d"], "12.5%", 0, 0, 12.5),
    ("retention: {time: 5d, size: 1GB, percentage: 50}", [], "5d or 1GiB or 50%", 5, 1 << 30, 50),
])
def test_a_section_of_retention_takes_the_place_of_the_flags(world, section, flags, shown, days, size, percentage):
    config = f"storage: {{tsdb: {{{section}}}}}\n"

    def told(server):
        limits = [server.metric(f"prometheus_tsdb_retention_limit_{unit}") for unit in ("seconds", "bytes", "percentage")]
        return [server.api("status/runtimeinfo")["storageRetention"], *limits]
    want = [shown, days * DAY_S, size, percentage]
    server = world.server(config, *[f"--storage.tsdb.retention.{flag}" for flag in flags], "--web.enable-lifecycle").start()
    assert told(server) == want
    world.write_file(f"{server.name}.yml", "storage: {tsdb: {retention: {time: 76d}}}\n")
    assert server.reload().status == 200
    assert told(server) == ["76d", 76 * DAY_S, 0, 0]
    world.write_file(f"{server.name}.yml", config)
    assert server.reload().status == 200
    assert told(server) == want


@pytest.mark.parametrize("flag", [
    "wal-segment-size=0", "wal-segment-size=10MB", "wal-segment-size=256MB", "block-reload-interval=10ms", "samples-per-chunk=0",
    "samples-per-chunk=-1", "min-block-duration=0s", "max-block-chunk-segment-size=0", "max-block-chunk-segment-size=1MB",
    "max-block-chunk-segment-size=100GB", "delayed-compaction.max-percent=150"])
def test_flags_that_the_original_takes_are_taken(world, flag):
    assert world.server("global: {}\n", f"--storage.tsdb.{flag}").start().is_running()


@pytest.mark.parametrize("flag, why", [
    ("wal-segment-size=9MB", "must be set between 10MB and 256MB"), ("wal-segment-size=257MB", "must be set between 10MB and 256MB"),
    ("max-block-chunk-segment-size=1KB", "must be set over 1MB")])
def test_flags_that_the_original_refuses_are_refused_with_its_words(world, flag, why):
    world.write_file("config.yml", "")
    refused = world.run("server", "--config.file=config.yml", f"--storage.tsdb.{flag}")
    assert refused.returncode == 1
    assert f"flag 'storage.tsdb.{flag.split('=')[0]}' {why}" in refused.stderr


@pytest.mark.parametrize("percent, warned", [(0, True), (101, True), (100, False)])
def test_a_share_of_delayed_compaction_out_of_range_is_the_usual_one(world, percent, warned):
    server = world.server("global: {}\n", "--enable-feature=delayed-compaction",
                          f"--storage.tsdb.delayed-compaction.max-percent={percent}").start()
    assert ("should lie between 1 and 100, using the default" in server.log()) == warned
    assert "has no effect" not in server.log()


def exemplars_request(t_ms, count):
    """One series of remote write 1.0 with exemplars a second apart."""
    def label(name, text):
        return harness._field(1, harness._field(1, name.encode()) + harness._field(2, text.encode()))

    def point(value, t_ms):
        return struct.pack("<d", value) + b"\x10" + harness._varint(t_ms)
    one = label("__name__", "m") + harness._field(2, b"\x09" + point(1, t_ms))
    for i in range(count):
        at = b"\x11" + struct.pack("<d", i) + b"\x18" + harness._varint(t_ms + 1000 * i)
        one += harness._field(3, label("trace", str(i)) + at)
    return harness.snappy_literals(harness._field(1, one))


def test_a_reload_changes_how_many_exemplars_are_kept(world):
    config = "storage: {{exemplars: {{max_exemplars: {}}}}}\n"
    server = world.server(config.format(0), "--web.enable-lifecycle", "--web.enable-remote-write-receiver",
                          "--enable-feature=exemplar-storage").start()

    def resize(text):
        world.write_file(f"{server.name}.yml", text)
        assert server.reload().status == 200

    def write(at_s):
        assert server.post("/api/v1/write", exemplars_request(at_s * 1000, 6), harness.REMOTE_WRITE_HEADERS).status == 204

    def kept():
        found = server.api("query_exemplars", query="m", start="0", end="4000000000")
        return [exemplar["timestamp"] for row in found for exemplar in row["exemplars"]]
    now_s = int(harness.time.time())
    write(now_s)
    assert kept() == []
    resize(config.format(10))
    assert server.metric("prometheus_tsdb_exemplar_max_exemplars") == 10
    write(now_s + 10)
    assert kept() == [now_s + 10 + i for i in range(6)]
    resize(config.format(2))
    assert kept() == [now_s + 14, now_s + 15]
    assert server.metric("prometheus_tsdb_exemplar_exemplars_in_storage") == 2
    resize("global: {}\n")
    assert server.metric("prometheus_tsdb_exemplar_max_exemplars") == 100000
    assert kept() == [now_s + 14, now_s + 15]


@pytest.fixture
def some_blocks(world):
    page = "".join(f"m{{i=\"{i}\"}} {k} {START_S + 600 * k}\n" for i in range(3) for k in range(30)) + "# EOF\n"
    (world.directory / "page").write_text(page)
    made = world.run("tool", "tsdb", "create-blocks-from", "openmetrics", world.directory / "page", world.directory / "made")
    assert made.returncode == 0, made.stderr
    return world.directory / "made"


def test_blocks_put_into_the_folder_of_a_running_server_are_served_and_leave_with_it(world, some_blocks):
    server = world.server("global: {}\n", "--storage.tsdb.retention.time=100y", "--storage.tsdb.block-reload-interval=1s").start()
    data = world.directory / "data"

    def counted():
        return server.query("sum(count_over_time(m[1d]))", time=str(START_S + 40000)).get("{}")
    assert counted() is None
    for block in some_blocks.glob("01*"):
        shutil.copytree(block, data / block.name)
    harness.wait_until("the blocks are seen", lambda: counted() == "90")
    for block in some_blocks.glob("01*"):
        shutil.rmtree(data / block.name)
    harness.wait_until("they are gone", lambda: counted() is None)
    assert server.metric("narthex_tsdb_blocks_corrupt") == 0
    assert not list(data.glob("*corrupt*"))


@pytest.mark.parametrize("selector, status, left", [
    ("{}", 400, "90"), ('{i!="1"}', 204, "30"), ('{j=""}', 204, None), ('m{i="1"}', 204, "60")])
def test_deletions_take_every_selector_that_has_a_matcher(world, some_blocks, selector, status, left):
    shutil.copytree(some_blocks, world.directory / "data")
    server = world.server("global: {}\n", "--storage.tsdb.retention.time=100y", "--web.enable-admin-api").start()

    reply = server.post("/api/v1/admin/tsdb/delete_series?" + harness.urllib.parse.urlencode({"match[]": selector}))

    assert reply.status == status, reply.text
    assert server.query("sum(count_over_time(m[1d]))", time=str(START_S + 40000)).get("{}") == left
