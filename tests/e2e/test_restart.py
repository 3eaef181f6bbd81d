# SPDX-License-Identifier: Apache-2.0
"""What happens while the log of the process before is read, and with the image of the series beside it."""
import os
import threading
import time

import harness

IMAGE = "narthex_series"
SERIES = 700  # fewer than 500 get no image


def page():
    return "".join(f'restarted{{series="{i}"}} {i}\n' for i in range(SERIES))


def kept(server):
    return {series: len(samples) for series, samples in server.samples("restarted", "1h").items()}


def test_targets_are_asked_while_the_log_is_read(world):
    target = world.target(page)
    server = world.server(harness.scrape_config(("page", [target.address]), interval="2s"))
    server.start()
    harness.wait_until("samples", lambda: len(kept(server)) == SERIES)
    server.kill()
    killed_s = time.time()
    before = len(target.requests)

    # The start reads the image first: a pipe in its place holds it there for as long as nobody writes.
    image = world.directory / "data" / IMAGE
    image.unlink(missing_ok=True)
    os.mkfifo(image)
    server.start(ready=False)
    harness.wait_until("a scrape", lambda: len(target.requests) > before)
    reply = harness.wait_until("an answer", lambda: server.get("/-/ready"))
    assert reply.status == 503
    assert reply.text.startswith("Service Unavailable")
    assert "replaying the log, 0 % done" in reply.text
    assert server.get("/api/v1/query", query="up").status == 503
    released_s = time.time()
    threading.Thread(target=lambda: image.open("wb").close()).start()
    server.wait_ready()

    harness.wait_until("what the target said while the log was read", lambda: [
        t for samples in server.samples('restarted{series="0"}', "1h").values() for t, _ in samples if killed_s < t <= released_s])
    harness.wait_until("more scrapes", lambda: len(target.requests) > before + 3)
    assert "out of order" not in server.log()


def test_restarts_with_and_without_the_image_bring_the_same(world):
    target = world.target(page)
    server = world.server(harness.scrape_config(("page", [target.address]), interval="200ms"))
    image = world.directory / "data" / IMAGE
    server.start()
    harness.wait_until("samples", lambda: len(kept(server)) == SERIES)
    server.stop()  # at the end an image is written
    assert image.stat().st_size > 1000

    server.start()
    assert "image=true" in server.log()
    with_image = kept(server)
    server.kill()
    assert len(with_image) == SERIES
    image.unlink()
    server.start()
    without = kept(server)
    assert all(without.get(series, 0) >= count for series, count in with_image.items())


def test_an_image_that_is_damaged_is_told_of_and_not_used(world):
    target = world.target(page)
    server = world.server(harness.scrape_config(("page", [target.address]), interval="200ms"))
    image = world.directory / "data" / IMAGE
    server.start()
    harness.wait_until("samples", lambda: len(kept(server)) == SERIES)
    server.stop()
    bytes_ = bytearray(image.read_bytes())
    bytes_[len(bytes_) // 2] ^= 0xFF
    image.write_bytes(bytes_)
    server.start()
    assert "image of the series is not used" in server.log()
    assert len(kept(server)) == SERIES
