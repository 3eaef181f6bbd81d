# SPDX-License-Identifier: Apache-2.0
"""Targets that mean no good: each costs itself its scrape, with a reason, and nobody else anything.

CI runs this file, as all of this folder, a second time with a program built with AddressSanitizer and UndefinedBehaviorSanitizer, which
ends at its first finding: `CI=true ./dev test`, its part "end to end, ASan and UBSan"."""
import gzip
import socket
import threading
import time
import zlib

import pytest

import harness

RESIDENT_BYTES_MAX = 700 << 20  # a sanitizer's build needs several times what a release does
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
LIMITS = "scrape_timeout: 1s\nscrape_interval: 1s\nbody_size_limit: 10MB\n"


class Hostile:
    """Listens; `behave(connection, request)` does what it likes with each connection."""

    def __init__(self, behave):
        self.behave = behave
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.closed = False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while not self.closed:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            connection.settimeout(30)
            try:
                request = b""
                while b"\r\n\r\n" not in request:
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    request += piece
                self.behave(connection, request)
            except OSError:
                pass  # the scraper had enough

    def close(self):
        self.closed = True
        self.listener.close()


def whole(body, headers=b""):
    return OK + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body


def slowloris_head(connection, _):
    for byte in OK + b"X: " + b"a" * 1000:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def slowloris_body(connection, _):
    connection.sendall(OK + b"Content-Length: 1000\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b"a")
        time.sleep(0.05)


def endless(head, piece):
    def behave(connection, _):
        connection.sendall(head)
        while True:
            connection.sendall(piece)
    return behave


def say(*pieces):
    def behave(connection, _):
        for piece in pieces:
            connection.sendall(piece)
    return behave


def gzip_bomb(megabytes):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b"a 1\n" * (1 << 18)
    return b"".join([packer.compress(block) for _ in range(megabytes)] + [packer.flush()])


def zstd_bomb(megabytes):
    """A frame without its size, and one block after the other of 128 KiB that repeat one byte (RFC 8878)."""
    blocks = megabytes * 8
    head = b"\x28\xb5\x2f\xfd" + b"\x00" + b"\x50"  # a window of 1 MiB

    def block(last):
        return ((128 << 10 << 3) | (1 << 1) | last).to_bytes(3, "little") + b"\n"
    return head + block(0) * (blocks - 1) + block(1)


def never(_connection, _request):
    time.sleep(30)


LABEL_BYTES = 100 << 20
LINE = b"".join(b"m%d{l=\"v\"} %d\n" % (i, i) for i in range(100))
GZIP = b"Content-Encoding: gzip\r\n"
ZSTD = b"Content-Encoding: zstd\r\n"

# What it does, what the job says, and a word of the reason that the target is down for.
BEHAVIOURS = {
    "a head a byte at a time": (slowloris_head, "", "deadline exceeded"),
    "a body a byte at a time": (slowloris_body, "", "deadline exceeded"),
    "no answer": (never, "", "deadline exceeded"),
    "an endless head": (endless(OK, b"X-A: " + b"a" * 1000 + b"\r\n"), "", "headers are larger"),
    "an endless line of the head": (endless(OK + b"X: ", b"a" * 65536), "", "headers are larger"),
    "an endless body to the close": (endless(OK + b"\r\n", b"a 1\n" * 16384), "", "body size limit"),
    "an endless chunked body": (
        endless(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"a 1\n" * 16384 + b"\r\n"),
        "", "body size limit"),
    "an endless chunk size": (endless(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 65536), "",
                              "malformed chunked"),
    "endless interim answers": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), "", "1xx"),
    "a gzip bomb": (say(whole(gzip_bomb(2000), GZIP)), "", "body size limit"),
    "zstd that is none": (say(whole(b"\x28\xb5\x2f\xfd not zstd at all", ZSTD)), "", "zstd"),
    "a zstd bomb": (say(whole(zstd_bomb(2000), ZSTD)), "", "body size limit"),
    "gzip that is none": (say(whole(b"\x1f\x8b\x08\x00 not gzip at all", GZIP)), "", "gzip"),
    "gzip that ends early": (say(whole(gzip.compress(LINE * 100)[:-20], GZIP)), "", "gzip"),
    "an encoding nobody asked for": (say(whole(LINE, b"Content-Encoding: br\r\n")), "", "encoding"),
    "a length that promises more": (say(OK + b"Content-Length: 1000\r\n\r\na 1\n"), "", "EOF"),
    "a length of 2^63": (say(OK + b"Content-Length: 9223372036854775808\r\n\r\n"), "", ""),
    "a length of 2^58": (say(OK + b"Content-Length: 288230376151711744\r\n\r\n"), "", "body size limit"),
    "a length below zero": (say(OK + b"Content-Length: -1\r\n\r\n"), "", "malformed"),
    "two lengths": (say(OK + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\na 1\n\n"), "", "malformed"),
    "a chunk of 2^64": (say(OK + b"Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n"), "", "malformed"),
    "no HTTP": (say(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "", "malformed HTTP"),
    "TLS without being asked": (say(bytes(range(256)) * 4 + b"\n\n"), "", "malformed HTTP"),
    "a redirect to itself": (
        say(b"HTTP/1.1 302 Found\r\nLocation: /metrics\r\nContent-Length: 0\r\n\r\n"), "", "redirects"),
    "a redirect to a file": (
        say(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"), "", ""),
    "a label of 100 MB": (
        lambda c, _: c.sendall(whole(b'm{l="' + b"v" * LABEL_BYTES + b'"} 1\n')),
        "body_size_limit: 200MB\nscrape_timeout: 20s\nscrape_interval: 20s\n", "line is longer"),
    "a line without an end": (say(whole(b'm{l="' + b"v" * (9 << 20))), "", "quoted string is not closed"),
    "labels without number": (
        say(whole(b"m{" + b",".join(b"l%d=\"v\"" % i for i in range(100000)) + b"} 1\n")), "",
        "too many labels"),
    "broken UTF-8": (say(whole(b'm{l="\xc3\x28"} 1\n')), "", "UTF-8"),
    "zero bytes": (say(whole(b"\0" * 100000)), "", "line 1 column 1"),
    "a page that is torn": (say(whole(LINE + b"m{")), "", "line 101"),
    "protobuf of wrong lengths": (
        say(whole(b"\xff\xff\xff\xff\x7f" + b"\x0a" * 100).replace(
            b"text/plain; version=0.0.4",
            b"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited")),
        "scrape_native_histograms: true", "cut short"),
}


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    """One server that scrapes all of them at once, and an honest target among them."""
    world = harness.World(tmp_path_factory.mktemp("targets"))
    hosts = {name: Hostile(behave) for name, (behave, _, _) in BEHAVIOURS.items()}
    honest = world.target("# TYPE honest gauge\nhonest 1\n")
    jobs = [("honest", [honest.address])]
    for i, (name, (_, lines, _)) in enumerate(BEHAVIOURS.items()):
        settings = dict(line.split(": ") for line in (LIMITS + lines).splitlines() if line)
        jobs.append((f"job{i}", [hosts[name].address], "\n".join(f"{k}: {v}" for k, v in settings.items())))
    try:
        yield world.server(harness.scrape_config(*jobs)).start()
    finally:
        for host in hosts.values():
            host.close()
        world.close()


def target_of(server, job):
    (one,) = [t for t in server.targets() if t["labels"]["job"] == job]
    return one


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_a_hostile_target_is_down_with_a_reason(scraped, name):
    job = f"job{list(BEHAVIOURS).index(name)}"

    def is_down():
        if not scraped.is_running():
            pytest.fail(scraped.log_tail())
        target = target_of(scraped, job)
        # On a busy machine it may be too late first, which is another reason.
        assert target["health"] == "down" and BEHAVIOURS[name][2] in target["lastError"], target["lastError"]
        return True
    harness.wait_until("the target to be down", is_down, deadline_s=90)


def test_others_are_scraped_meanwhile(scraped):
    started = time.time()

    def some():
        (samples,) = scraped.samples("honest", "1m").values()
        return len([t for t, _ in samples if t > started]) >= 5
    harness.wait_until("five samples of the honest target", some)
    harness.wait_until("the honest target to be up", lambda: target_of(scraped, "honest")["health"] == "up")


def test_memory_stays_bounded(scraped):
    assert scraped.metric("process_resident_memory_bytes") < RESIDENT_BYTES_MAX
    assert scraped.metric("process_open_fds") < 500
