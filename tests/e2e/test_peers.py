# SPDX-License-Identifier: Apache-2.0
"""Real peers agree: promtool asks us, and a data directory can go either way between us and Prometheus."""
import math
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import harness

STALE_AND_ODD = [math.inf, -math.inf, math.nan, 0.0, -0.0, 1e-300, 1e300, 0.1, 123456789.125]
EVERYTHING = '{__name__=~".+"}'
OUT_OF_ORDER = "storage:\n  tsdb:\n    out_of_order_time_window: 10m\n"


def page_generator():
    """A page whose values move, with names and labels that need escapes."""
    count = 0

    def page():
        nonlocal count
        count += 1
        lines = ["# HELP requests_total Requests, with a \\\\ and a\\nline.",
                 "# TYPE requests_total counter"]
        lines += [f'requests_total{{code="{code}",path="/a\\"b\\\\c\\n{i}",snow="\u2603"}} {count * (i + 1)}'
                  for code in (200, 404) for i in range(20)]
        lines += ["# TYPE odd gauge", "odd NaN", "odd_high +Inf", f"odd_small {count}e-12",
                  f"odd_fraction {count / 7}"]
        lines += ["# TYPE latency_seconds histogram"]
        lines += [f'latency_seconds_bucket{{le="{le}"}} {count * n}'
                  for n, le in enumerate(("0.1", "1", "+Inf"), 1)]
        lines += [f"latency_seconds_sum {count * 0.25}", f"latency_seconds_count {count * 3}"]
        if count % 3:
            lines += ["sometimes 1"]
        return "\n".join(lines) + "\n"
    return page


def fill(world, server):
    """Scraped and remotely written samples, some of them odd and some out of order."""
    now_ms = int(time.time() * 1000)
    start_ms = now_ms - 20 * 60_000
    for name, times in (("written", range(0, 600_000, 5000)), ("odd_values", range(0, 9000, 1000))):
        series = [({"__name__": name, "series": str(i)},
                   [(start_ms + 11 * 60_000 + t, STALE_AND_ODD[k % 9] if name == "odd_values" else k * i / 3)
                    for k, t in enumerate(times)]) for i in range(30)]
        reply = server.write(series)
        assert reply.status in (200, 204), reply.text
    late = [({"__name__": "written", "series": str(i)}, [(start_ms + 12 * 60_000 + 1, 0.5 + i)])
            for i in range(30)]
    assert server.write(late).status in (200, 204)
    harness.wait_until("twelve scrapes", lambda: server.query("count_over_time(up[5m]) >= 12"))


def config_for(world):
    return harness.scrape_config(("page", [world.target(page_generator()).address]), interval="300ms",
                                 ) + OUT_OF_ORDER


def settle(server):
    """A time of which the server has all it will ever have: a later scrape of its one target is there."""
    at_s = time.time()
    harness.wait_until("a later scrape", lambda: float(next(iter(server.query("timestamp(up)").values()))) > at_s)
    return at_s


def settled_samples(server, at_s):
    return server.samples(EVERYTHING, "1h", at_s)


def same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for key, samples in theirs.items():
        assert ours[key] == samples, key


def test_promtool_queries_us(world):
    target = world.target("answer 42\n")
    server = world.server(harness.scrape_config(("page", [target.address]))).start()
    harness.wait_until("a sample", lambda: server.query("answer"))

    instant = harness.promtool("query", "instant", server.url, "answer")
    ranged = harness.promtool("query", "range", "--step=1s", server.url, "answer + 1")
    series = harness.promtool("query", "series", "--match=answer", server.url)
    labels = harness.promtool("query", "labels", server.url, "job")

    assert instant.returncode == 0 and "answer{" in instant.stdout and "=> 42 @[" in instant.stdout
    assert ranged.returncode == 0 and "43 @[" in ranged.stdout
    assert series.returncode == 0 and 'job="page"' in series.stdout
    assert labels.returncode == 0 and labels.stdout.split() == ["page"]


@pytest.mark.parametrize("ending", ["stopped", "killed", "running"])
def test_prometheus_reads_our_directory(world, ending):
    server = world.server(config_for(world), "--web.enable-remote-write-receiver").start()
    fill(world, server)
    if ending == "running":
        # A copy of a live directory holds at least what was answered before it was made.
        at_s = settle(server)
        ours = settled_samples(server, at_s)
        world.copy_data()
    else:
        world.targets[0].close()
        harness.wait_until("the target to be down", lambda: server.query("up == 0"))
        at_s = settle(server)
        ours = settled_samples(server, at_s)
        server.stop() if ending == "stopped" else server.kill()
        # What came between the answer and the end is no part of the comparison.
        world.copy_data()

    theirs = settled_samples(world.prometheus("global: {}\n" + OUT_OF_ORDER, data="copy").start(), at_s)

    assert len(ours) > 100
    same(ours, theirs)


@pytest.mark.parametrize("ending", ["stopped", "killed"])
def test_we_read_a_directory_of_prometheus(world, ending):
    peer = world.prometheus(config_for(world), "--web.enable-remote-write-receiver").start()
    fill(world, peer)
    world.targets[0].close()
    harness.wait_until("the target to be down", lambda: peer.query("up == 0"))
    at_s = settle(peer)
    theirs = settled_samples(peer, at_s)
    peer.stop() if ending == "stopped" else peer.kill()
    world.copy_data()

    ours = settled_samples(world.server("global: {}\n" + OUT_OF_ORDER, data="copy").start(), at_s)

    assert len(theirs) > 100
    same(ours, theirs)


def test_we_read_a_log_that_many_wrote_at_once(world):
    # Its series stand in the order of commits, not in that of their numbers.
    peer = world.prometheus("global: {}\n", "--web.enable-remote-write-receiver").start()
    now_ms = int(time.time() * 1000)

    def write(writer):
        for part in range(4):
            series = [({"__name__": f"m{part}", "writer": str(writer), "i": str(i)}, [(now_ms, i)])
                      for i in range(1500)]
            assert peer.write(series).status in (200, 204)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    peer.kill()

    server = world.server("global: {}\n").start()

    counts = server.query('count by (writer) ({__name__=~"m.+"})', time=now_ms / 1000 + 1)
    assert sorted(counts.values()) == ["6000"] * 8


def test_late_samples_stay_while_a_directory_goes_from_hand_to_hand(world):
    """Each start finds what all before it have acknowledged: of a Prometheus that was started twice, of ours, also twice, and back."""
    hands = (world.prometheus, world.prometheus, world.server, world.server, world.prometheus, world.server)
    written = {}

    for turn, hand in enumerate(hands):
        server = hand("global: {}\n" + OUT_OF_ORDER, "--web.enable-remote-write-receiver").start()
        found = server.samples("late", "2h") if turn else {}
        same({key: {t: float(v) for t, v in samples} for key, samples in found.items()}, written)
        # New samples; of the original also late ones: both enough for chunks.
        end_ms = (int(time.time()) - 3600 + turn * 300) * 1000
        late = range(end_ms - 270_000, end_ms - 170_000, 2000) if hand == world.prometheus else ()
        for times in (range(end_ms - 150_000, end_ms, 1000), late):
            series = [({"__name__": "late", "series": str(i)}, [(t, float(t // 1000 % 1000 + i)) for t in times])
                      for i in range(20)]
            assert server.write(series).status in (200, 204)
            for labels, samples in series:
                written.setdefault(harness.series_key(labels), {}).update((t / 1000, v) for t, v in samples)
        server.kill() if hand == world.server else server.stop()
    assert not list((world.directory / "data" / "chunks_head").glob("*.corrupt*"))


SNAPSHOT = "--enable-feature=memory-snapshot-on-shutdown,exemplar-storage"


def snapshots(world, data):
    return sorted(path.name for path in (world.directory / data).glob("chunk_snapshot.*"))


def without_samples_of_the_log(world, data):
    """Leaves of the log only what lies behind the snapshot, as a file of its length: who reads it has nothing."""
    _, segment, offset = snapshots(world, data)[-1].split(".")
    for path in (world.directory / data / "wal").iterdir():
        if path.is_file() and int(path.name) <= int(segment):
            path.write_bytes(bytes(int(offset) if int(path.name) == int(segment) else 0))


def fill_and_stop(world, server):
    fill(world, server)
    world.targets[0].close()
    harness.wait_until("the target to be down", lambda: server.query("up == 0"))
    at_s = settle(server)
    samples = settled_samples(server, at_s)
    server.stop()
    world.copy_data()
    assert len(snapshots(world, "copy")) == 1
    # Late samples are in a log of their own, which both read; the rest can only come from the snapshot.
    without_samples_of_the_log(world, "copy")
    return at_s, samples


def test_prometheus_starts_from_our_snapshot(world):
    at_s, ours = fill_and_stop(world, world.server(config_for(world), "--web.enable-remote-write-receiver",
                                                   SNAPSHOT).start())

    peer = world.prometheus("global: {}\n" + OUT_OF_ORDER, SNAPSHOT, data="copy").start()

    assert len(ours) > 100
    before = {key: [s for s in samples if s[0] <= at_s] for key, samples in ours.items()}
    same(before, settled_samples(peer, at_s))
    assert "chunk snapshot loading time" in peer.log().lower()
    assert peer.metric("prometheus_tsdb_snapshot_replay_error_total") == 0


def test_we_start_from_a_snapshot_of_prometheus(world):
    at_s, theirs = fill_and_stop(world, world.prometheus(config_for(world),
                                                         "--web.enable-remote-write-receiver", SNAPSHOT).start())

    server = world.server("global: {}\n" + OUT_OF_ORDER, data="copy").start()

    assert len(theirs) > 100
    same(settled_samples(server, at_s), theirs)
    assert "snapshot=true" in server.log()
    assert server.metric("prometheus_tsdb_snapshot_replay_error_total") == 0


def test_series_that_only_an_old_snapshot_of_prometheus_defines(world):
    """A checkpoint has passed the snapshot and dropped a series, a Prometheus loads both, and the series comes back."""
    settings, flags = "global: {}\n" + OUT_OF_ORDER, ("--web.enable-remote-write-receiver", SNAPSHOT)
    end_ms = (int(time.time()) - 600) * 1000
    if end_ms % 7_200_000 < 180_000:  # across a border the first samples would stand in a full chunk, too
        end_ms -= 180_000
    wal = world.directory / "data" / "wal"

    def write(server, name, first_ms):
        times = range(first_ms, first_ms + 60_000, 10_000)
        assert server.write([({"__name__": name, "i": "1"}, [(t, float(t)) for t in times])]).status in (200, 204)
        return {t / 1000: float(t) for t in times}

    server = world.prometheus(settings, *flags).start()
    write(server, "ended", end_ms - 180_000)
    server.stop()
    last = int(snapshots(world, "data")[-1].split(".")[1])
    for segment in wal.iterdir():
        segment.unlink()
    (wal / f"checkpoint.{last:08}").mkdir()
    (wal / f"checkpoint.{last:08}" / "00000000").touch()
    (wal / f"{last + 1:08}").touch()
    server = world.prometheus(settings, *flags).start()
    written = {name: write(server, name, end_ms - 60_000) for name in ("ended", "new")}
    server.kill()

    for start in (world.server, world.server, world.prometheus):  # the second and third without the snapshot
        server = start(settings, *flags).start()
        found = server.samples('{i="1"}', "1h")
        same({key: {t: float(v) for t, v in samples} for key, samples in found.items()},
             {harness.series_key({"__name__": name, "i": "1"}): samples for name, samples in written.items()})
        server.kill()
        assert not snapshots(world, "data")


def test_we_read_blocks_of_promtool(world):
    start_s = int(time.time()) // 7200 * 7200 - 5 * 7200
    lines = ["# TYPE made counter"]
    for i in range(50):
        lines += [f'made_total{{series="{i}"}} {k * i} {start_s + 30 * k}' for k in range(900)]
    page = world.write_file("page.txt", "\n".join(lines) + "\n# EOF\n")
    made = harness.promtool("tsdb", "create-blocks-from", "openmetrics", page, world.directory / "data")
    assert made.returncode == 0, made.stderr
    assert len(harness.blocks(world.directory / "data")) >= 4
    world.copy_data()
    at_s = start_s + 30 * 900

    flag = "--storage.tsdb.retention.time=100y"
    ours = world.server("global: {}\n", flag, data="copy").start().samples("made_total", "10h", at_s)
    theirs = world.prometheus("global: {}\n", flag).start().samples("made_total", "10h", at_s)

    assert len(ours) == 50
    assert all(len(samples) == 900 for samples in ours.values())
    same(ours, theirs)


def test_answers_are_those_of_prometheus(world):
    """The same data in both, then the same questions: the bytes of the results agree."""
    flags = ("--web.enable-remote-write-receiver",)
    ours = world.server("global: {}\n", *flags).start()
    theirs = world.prometheus("global: {}\n", *flags, data="theirs").start()
    end_ms = int(time.time()) * 1000
    # No sample lies on the edge of a window: there 2.42 still counted the left one, 3.0 does not.
    first_ms = end_ms - 600_000 + 1234
    series = [({"__name__": "work_total", "job": f"j{i % 3}", "instance": f"i{i}"},
               [(first_ms + 5000 * k, float(k * (i + 1) % 997)) for k in range(119)])
              for i in range(12)]
    assert ours.write(series).status in (200, 204)
    assert theirs.write(series).status in (200, 204)

    for expression in (
            "work_total", "rate(work_total[1m])", "sum by (job) (rate(work_total[2m]))",
            "topk(2, work_total)", "work_total > 500", "avg_over_time(work_total[3m])",
            "quantile_over_time(0.9, work_total[5m])", "max_over_time(rate(work_total[1m])[5m:10s])",
            "work_total / on (instance) group_left () work_total offset 1m",
            "label_replace(work_total, \"n\", \"$1\", \"instance\", \"i(.*)\")",
            "stddev by (job) (work_total)", "increase(work_total[5m])", "absent(nothing)",
            "count_values(\"v\", work_total % 7)", "deriv(work_total[5m])",
            "predict_linear(work_total[5m], 60)", "resets(work_total[10m])", "vector(1) + time()"):
        parameters = {"query": expression, "start": end_ms / 1000 - 300, "end": end_ms / 1000, "step": 7}
        mine = ours.api("query_range", **parameters)
        other = theirs.api("query_range", **parameters)
        assert close_enough(mine["result"], other["result"]), expression


def close_enough(mine, other):
    """Equal labels and times; values equal to the last few bits, as the order of a sum may differ."""
    def rows(result):
        return {harness.series_key(row["metric"]): row["values"] for row in result}
    mine, other = rows(mine), rows(other)
    if mine.keys() != other.keys():
        return False
    for key, values in other.items():
        if [t for t, _ in values] != [t for t, _ in mine[key]]:
            return False
        for (_, a), (_, b) in zip(values, mine[key]):
            if a != b and not math.isclose(float(a), float(b), rel_tol=1e-12):
                return False
    return True
