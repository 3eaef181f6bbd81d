# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any moment loses no sample that was acknowledged: answered 2xx, or seen in a query."""
import http.client
import os
import random
import threading
import time

import harness

ROUNDS = 20
WRITERS = 3
SERIES_PER_WRITER = 20
TARGET_SERIES = 200


class Acknowledged:
    """What the server has answered for. One lock guards the samples."""

    def __init__(self):
        self.lock = threading.Lock()
        self.samples = {}

    def add(self, series, time_s, value):
        with self.lock:
            self.samples.setdefault(series, {})[time_s] = value

    def count(self, name=""):
        with self.lock:
            return sum(len(times) for series, times in self.samples.items() if series.startswith(name))


def write_load(server, acknowledged, writer, stopping, clock):
    """Posts batches until told to stop; a batch counts once its answer is 2xx."""
    while not stopping.is_set():
        t_ms = clock()
        value = float(random.randrange(1 << 30))
        batch = [({"__name__": "posted", "writer": str(writer), "series": str(i)}, [(t_ms, value + i)])
                 for i in range(SERIES_PER_WRITER)]
        try:
            reply = server.write(batch)
        except (OSError, http.client.HTTPException):
            continue
        if reply.status in (200, 204):
            for labels, samples in batch:
                acknowledged.add(harness.series_key(labels), t_ms / 1000, samples[0][1])


def read_load(server, acknowledged, stopping):
    """Queries what was scraped; what an answer has shown counts."""
    while not stopping.is_set():
        try:
            seen = server.samples("scraped_total", "5s")
        except (OSError, http.client.HTTPException, AssertionError):
            continue
        for series, samples in seen.items():
            for time_s, value in samples:
                acknowledged.add(series, time_s, float(value))
        stopping.wait(0.05)


def missing(server, acknowledged):
    """Acknowledged samples that the server does not have, or has with another value."""
    kept = {}
    for name in ("posted", "scraped_total"):
        for series, samples in server.samples(name, "1h").items():
            kept[series] = {time_s: float(value) for time_s, value in samples}
    lost = []
    for series, samples in acknowledged.samples.items():
        lost += [(series, time_s, value, kept.get(series, {}).get(time_s))
                 for time_s, value in samples.items() if kept.get(series, {}).get(time_s) != value]
    return lost


def test_twenty_kills_under_load_lose_nothing(world):
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"SEED={seed}")
    chance = random.Random(seed)
    scrapes = 0

    def page():
        nonlocal scrapes
        scrapes += 1
        # New series now and then, so that series records are written under fire, too.
        return "".join(f'scraped_total{{series="{i + scrapes // 10 * 5}"}} {scrapes * 1000 + i}\n'
                       for i in range(TARGET_SERIES))

    target = world.target(page)
    server = world.server(harness.scrape_config(("page", [target.address]), interval="100ms"),
                          "--web.enable-remote-write-receiver")
    acknowledged = Acknowledged()
    clocks = [unique_clock() for _ in range(WRITERS)]

    for round_number in range(ROUNDS):
        server.start()
        lost = missing(server, acknowledged)
        assert not lost, f"round {round_number}: {len(lost)} of {acknowledged.count()} lost: {lost[:5]}"
        before = {name: acknowledged.count(name) for name in ("posted", "scraped_total")}
        stopping = threading.Event()
        threads = [threading.Thread(target=write_load, args=(server, acknowledged, i, stopping, clocks[i]))
                   for i in range(WRITERS)]
        threads.append(threading.Thread(target=read_load, args=(server, acknowledged, stopping)))
        for thread in threads:
            thread.start()
        try:
            harness.wait_until("load of both kinds to be acknowledged", lambda: all(
                acknowledged.count(name) >= count + TARGET_SERIES for name, count in before.items()))
            time.sleep(chance.uniform(0, 1.0))  # the moment of the crash is random on purpose
            server.kill()
        finally:
            stopping.set()
            for thread in threads:
                thread.join()

    server.start()
    lost = missing(server, acknowledged)
    assert not lost, f"{len(lost)} of {acknowledged.count()} lost: {lost[:5]}"
    posted = [series for series in acknowledged.samples if series.startswith("posted")]
    assert len(posted) == WRITERS * SERIES_PER_WRITER
    assert len(acknowledged.samples) > len(posted) + TARGET_SERIES
    print(f"{acknowledged.count()} acknowledged samples survived {ROUNDS} kills")


def unique_clock():
    """Milliseconds that always rise, so that no writer gives one series two values at a time."""
    last = 0

    def now_ms():
        nonlocal last
        last = max(last + 1, int(time.time() * 1000))
        return last
    return now_ms


def wal_segments(world):
    wal = world.directory / "data" / "wal"
    return sorted(path for path in wal.iterdir() if path.name.isdigit())


def write_one(server, value):
    t_ms = int(time.time() * 1000)
    reply = server.write([({"__name__": "kept", "series": str(i)}, [(t_ms, value + i)]) for i in range(50)])
    assert reply.status in (200, 204), reply.text


def filled_and_killed(world):
    server = world.server("global: {}\n", "--web.enable-remote-write-receiver").start()
    for value in range(40):
        write_one(server, value)
        time.sleep(0.002)  # another millisecond for another sample
    server.kill()
    return server


def count_kept(server):
    return sum(len(samples) for samples in server.samples("kept", "1h").values())


def test_torn_last_record_costs_only_itself(world):
    server = filled_and_killed(world)
    last = wal_segments(world)[-1]
    with open(last, "r+b") as segment:
        # Segments may be allocated ahead with zeros: the tear goes through the last record.
        content = segment.read().rstrip(b"\0")
        segment.truncate(len(content) - 7)

    server.start()

    kept = count_kept(server)
    assert 39 * 50 <= kept < 40 * 50
    write_one(server, 1000)
    server.kill()
    server.start()
    assert count_kept(server) == kept + 50


def test_garbage_behind_the_last_record_costs_nothing(world):
    server = filled_and_killed(world)
    last = wal_segments(world)[-1]
    content = last.read_bytes().rstrip(b"\0")
    last.write_bytes(content + bytes(random.Random(1).randrange(256) for _ in range(1000)))

    server.start()

    assert count_kept(server) >= 39 * 50
    write_one(server, 1000)
    assert server.query('kept{series="0"}') != {}


def test_flipped_bit_keeps_what_was_before(world):
    server = filled_and_killed(world)
    last = wal_segments(world)[-1]
    content = bytearray(last.read_bytes())
    middle = len(content.rstrip(b"\0")) * 3 // 4
    content[middle] ^= 0x10
    last.write_bytes(content)

    server.start()

    kept = count_kept(server)
    assert 20 * 50 <= kept < 40 * 50
    assert "level=warn" in server.log().lower() or "level=error" in server.log().lower()
    write_one(server, 1000)
    server.kill()
    server.start()
    assert count_kept(server) == kept + 50


def test_half_a_block_left_by_a_crash_is_not_served(world):
    left = world.directory / "data" / "01HZZZZZZZZZZZZZZZZZZZZZZZ.tmp-for-creation"
    (left / "chunks").mkdir(parents=True)
    (left / "index").write_bytes(b"\xba\xaa\xd7\x00\x02half")
    server = world.server("global: {}\n", "--web.enable-remote-write-receiver").start()

    write_one(server, 1)

    assert count_kept(server) == 50
    harness.wait_until("the half block to be removed", lambda: not left.exists())
