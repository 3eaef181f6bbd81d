#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many rules over many series: the CPU of evaluating them.

    many_rules.py narthex=build/release/src/main/narthex prometheus=/usr/bin/prometheus

Series come from targets that this script serves; they are scraped every --scrape seconds, evenly spread. 100 groups (of 50 rules each, if
there are 5,000) look at their own share of the series: rates summed by labels, averages, quotients of recorded series, alerts of which
some fire. The servers run one after the other, first without rules, then, after a reload, with them; what is printed is the difference of
CPU, over whole intervals of evaluation. What the targets cost is not counted.
"""
import argparse
import gzip
import http.server
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request

from many_targets import status_of, wait_ready

GROUPS = 100
TARGETS_PER_GROUP = 5


class Targets:
    """Pages of `series` samples; the value rises with each scrape, so rates are not all zero."""

    def __init__(self, series):
        self.series, self.scrapes = series, 0
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                owner.scrapes += 1
                body = owner.page(int(time.time()))
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024

        self.lock, self.made_at, self.body = threading.Lock(), 0, b""
        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def page(self, now):
        with self.lock:
            if now - self.made_at >= 5:
                lines = []
                for i in range(self.series):
                    name = ("http_requests_total", "http_errors_total", "queue_length", "temperature")[i % 4]
                    lines.append(f'{name}{{path="/{i // 8}",code="{200 + i // 4 % 2}",zone="z{i // 4 % 10}"}} {now * (1 + i % 7) % 10**9}\n')
                self.body, self.made_at = gzip.compress("".join(lines).encode(), 1), now
            return self.body


def rules(count):
    """Rules of one group over the series of its job."""
    out = ["groups:"]
    for g in range(GROUPS):
        out += [f"- name: g{g}", "  rules:"]
        job = f'job="j{g}"'
        for r in range(count // GROUPS):
            kind, zone = r % 10, f'zone="z{r // 10 * 2 % 10}"'
            if kind < 4:
                metric = ("http_requests_total", "http_errors_total")[kind % 2]
                out += [f"  - record: job:{metric}:rate{r}", f"    expr: sum by (job, instance) (rate({metric}{{{job},{zone}}}[5m]))"]
            elif kind < 6:
                out += [f"  - record: job:queue_length:avg{r}", f"    expr: avg by (job, code) (queue_length{{{job},{zone}}})"]
            elif kind == 6:
                out += [f"  - record: job:errors:ratio{r}",
                        f"    expr: job:http_errors_total:rate{r - 5}{{{job}}} / job:http_requests_total:rate{r - 6}{{{job}}}"]
            elif kind < 9:
                out += [f"  - alert: Hot{r}", f"    expr: temperature{{{job},{zone}}} > 1e10", "    for: 1m", "    labels: {severity: page}",
                        "    annotations: {summary: '{{ $labels.instance }} at {{ $value }}'}"]
            else:
                out += [f"  - alert: Slow{r}", f"    expr: max by (instance) (queue_length{{{job},{zone}}}) >= 0", "    for: 1m",
                        "    labels: {severity: info}", "    annotations: {summary: '{{ $labels.instance }} at {{ $value }}'}"]
    return "\n".join(out) + "\n"


def write_config(folder, port, options, with_rules):
    lines = ["global:", f"  scrape_interval: {options.scrape}s", f"  scrape_timeout: {options.scrape}s",
             f"  evaluation_interval: {options.interval}s", "scrape_configs:"]
    for g in range(GROUPS):
        targets = ", ".join(f"'t{i}.localhost:1'" for i in range(TARGETS_PER_GROUP))
        lines += [f"- job_name: j{g}", f"  static_configs: [{{targets: [{targets}]}}]", "  relabel_configs:",
                  "  - {source_labels: [__address__], target_label: instance}",
                  f"  - {{target_label: __address__, replacement: '127.0.0.1:{port}'}}"]
    if with_rules:
        lines.append(f"rule_files: ['{folder}/rules.yml']")
    path = folder / "prometheus.yml"
    path.write_text("\n".join(lines) + "\n")
    return path


def ask(port, path, data=None):
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=data), timeout=120) as reply:
        return reply.read().decode()


def metric(text, name):
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith((name + " ", name + "{")))


def measure(process, port, seconds):
    before, evaluations = status_of(process.pid), metric(ask(port, "/metrics"), "prometheus_rule_evaluations_total")
    begin = time.monotonic()
    time.sleep(seconds)
    after = status_of(process.pid)
    text = ask(port, "/metrics")
    return ((after["cpu_s"] - before["cpu_s"]) / (time.monotonic() - begin), metric(text, "prometheus_rule_evaluations_total") - evaluations,
            metric(text, "prometheus_rule_evaluation_failures_total"), metric(text, "prometheus_rule_group_iterations_missed_total"), after["rss_mb"])


def run(name, binary, options):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="many_rules_"))
    (folder / "rules.yml").write_text(rules(options.rules))
    targets = Targets(options.series // (GROUPS * TARGETS_PER_GROUP))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = write_config(folder, targets.port, options, False)
    command = [binary] + (["server"] if "narthex" in name else [])
    command += [f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}",
                "--web.enable-lifecycle"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(folder / "log", "wb"))
    try:
        wait_ready(port, process)
        time.sleep(options.scrape * 2 + 5)  # each series has two samples
        idle, _, _, _, _ = measure(process, port, options.seconds)
        write_config(folder, targets.port, options, True)
        ask(port, "/-/reload", b"")
        time.sleep(options.interval * 2)  # each rule has run; alerts have been pending
        busy, evaluations, failures, missed, rss = measure(process, port, options.seconds)
        series = metric(ask(port, "/metrics"), "prometheus_tsdb_head_series")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)
        targets.server.shutdown()
        shutil.rmtree(folder)
    cpu_s = (busy - idle) * options.seconds
    print(f"{name}: {series:.0f} series, {options.rules} rules every {options.interval} s: {evaluations:.0f} evaluations, {failures:.0f} failed, "
          f"{missed:.0f} rounds missed; {cpu_s * 1e6 / max(evaluations, 1):.0f} us of CPU an evaluation ({idle:.3f} cores without, "
          f"{busy:.3f} with); RSS {rss:.0f} MB", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("servers", nargs="+", metavar="NAME=BINARY")
    parser.add_argument("--series", type=int, default=500000)
    parser.add_argument("--rules", type=int, default=5000)
    parser.add_argument("--interval", type=int, default=30, help="of evaluation, seconds")
    parser.add_argument("--scrape", type=int, default=60, help="interval, seconds")
    parser.add_argument("--seconds", type=int, default=60, help="measured for each server, without and with rules")
    options = parser.parse_args()
    for server in options.servers:
        name, _, binary = server.partition("=")
        run(name, binary, options)


if __name__ == "__main__":
    main()
