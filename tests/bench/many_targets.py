#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many small targets: how punctual a server scrapes them, and what that costs.

    many_targets.py narthex=build/release/src/main/narthex prometheus=/usr/bin/prometheus

Each target is an address of its own on the loopback network (127.0.0.1, 127.0.0.2, ...), all behind one
listener, which writes down when it was asked by whom. The servers run one after the other. Printed are, for
the time after the first full interval: the error of the interval between two scrapes of a target, in
milliseconds; how evenly they are spread over the seconds of an interval; CPU; memory; threads; open files.

What the listener costs is not counted. It is one Python thread, so that from about 3,000 scrapes a second on
it is the listener that is late.
"""
import argparse
import asyncio
import collections
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request

PAGE_LINES = 20


def address_of(number):
    return f"127.{number // 65025}.{number // 255 % 255}.{number % 255 + 1}"


class Listener(threading.Thread):
    """Answers every request with the same page; `seen` has the times of each address."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen = collections.defaultdict(list)
        body = "".join(f'app_requests_total{{path="/{i}",code="200"}} {i}\n' for i in range(PAGE_LINES)).encode()
        self.answer = (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
                       b"Content-Length: %d\r\n\r\n" % len(body)) + body
        self.socket = socket.create_server(("0.0.0.0", 0), backlog=4096)
        self.port = self.socket.getsockname()[1]
        self.loop = asyncio.new_event_loop()

    def run(self):
        listener = self

        class Connection(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport = transport
                self.times = listener.seen[transport.get_extra_info("sockname")[0]]

            def data_received(self, data):
                if data.endswith(b"\r\n\r\n"):
                    self.times.append(time.monotonic())
                    self.transport.write(listener.answer)

        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.loop.create_server(Connection, sock=self.socket))
        self.loop.run_forever()

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.join()
        self.socket.close()


def write_config(folder, port, targets, interval_s):
    lines = ["global:", f"  scrape_interval: {interval_s}s", f"  scrape_timeout: {interval_s}s",
             "scrape_configs:", "  - job_name: many", "    static_configs:", "      - targets:"]
    lines += [f"          - {address_of(i)}:{port}" for i in range(targets)]
    path = folder / "prometheus.yml"
    path.write_text("\n".join(lines) + "\n")
    return path


def status_of(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return {
        "cpu_s": (int(fields[11]) + int(fields[12])) / 100,
        "rss_mb": int(status["VmRSS"].split()[0]) / 1024,
        "peak_mb": int(status["VmHWM"].split()[0]) / 1024,
        "threads": int(status["Threads"]),
        "fds": len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir())),
    }


def wait_ready(port, process):
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"the server ended with status {process.returncode}")
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                f"http://127.0.0.1:{port}/-/ready", timeout=2).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server does not become ready")


def percentile(values, share):
    return values[min(int(len(values) * share), len(values) - 1)] if values else float("nan")


def run(name, binary, options):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="many_targets_"))
    listener = Listener()
    listener.start()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = write_config(folder, listener.port, options.targets, options.interval)
    command = [binary] + (["server"] if "narthex" in name else [])
    command += [f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=open(folder / "log", "wb"))
    try:
        wait_ready(port, process)
        time.sleep(options.interval + 2)  # every target has been seen once
        begin, before = time.monotonic(), status_of(process.pid)
        time.sleep(options.seconds)
        after, end = status_of(process.pid), time.monotonic()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        listener.stop()
        shutil.rmtree(folder)
    report(name, listener.seen, before, after, begin, end, options)


def report(name, seen, before, after, begin, end, options):
    errors, scrapes = [], 0
    per_second = collections.Counter()
    for times in list(seen.values()):
        inside = [t for t in times if begin <= t <= end]
        scrapes += len(inside)
        per_second.update(int(t - begin) for t in inside)
        errors += [abs(b - a - options.interval) * 1000 for a, b in zip(inside, inside[1:])]
    errors.sort()
    due = options.targets * (end - begin) / options.interval
    counts = [per_second[s] for s in range(int(end - begin))]
    cpu_s = after["cpu_s"] - before["cpu_s"]
    print(f"{name}: {len(seen)} targets, {scrapes} scrapes of {due:.0f} due, "
          f"{min(counts)} to {max(counts)} a second; "
          f"error of the interval ms: median {percentile(errors, .5):.2f}, 99 % {percentile(errors, .99):.2f}, "
          f"largest {errors[-1] if errors else float('nan'):.1f}; "
          f"{cpu_s / (end - begin):.4f} cores, {cpu_s / max(scrapes, 1) * 1e6:.0f} us a scrape; "
          f"RSS {after['rss_mb']:.0f} MB (peak {after['peak_mb']:.0f}), {after['threads']} threads, "
          f"{after['fds']} files", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("servers", nargs="+", metavar="NAME=BINARY")
    parser.add_argument("--targets", type=int, default=10000)
    parser.add_argument("--interval", type=int, default=15, help="seconds")
    parser.add_argument("--seconds", type=int, default=60, help="measured for each server")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < options.targets + 1000:
        raise SystemExit(f"ulimit -n is {most}: too few for {options.targets} connections")
    for server in options.servers:
        name, _, binary = server.partition("=")
        run(name, binary, options)


if __name__ == "__main__":
    main()
