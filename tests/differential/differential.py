#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asks narthex and a real Prometheus the same random questions about the same random data.

Both are loaded once, by remote write. Every difference is printed with its query, at most --show of them; the exit status tells
whether there was one. The same seed gives the same data and queries.
"""
import argparse
import collections
import http.client
import json
import pathlib
import random
import shutil
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import broken  # noqa: E402
import compare  # noqa: E402
import data  # noqa: E402
import harness  # noqa: E402
import queries  # noqa: E402

FEATURES = "native-histograms,promql-experimental-functions,promql-duration-expr,promql-per-step-stats"
STATS = 0.05  # of the queries ask for statistics, too


def start(binary, arguments, features, directory, name):
    directory.mkdir()
    port = harness.free_port()
    (directory / "prometheus.yml").write_text("global: {scrape_interval: 1m, evaluation_interval: 1m}\n")
    binary = shutil.which(binary) or sys.exit(f"there is no {binary}")
    command = [str(pathlib.Path(binary).resolve()), *arguments, f"--config.file={directory}/prometheus.yml",
               f"--storage.tsdb.path={directory}/data", "--storage.tsdb.retention.time=100y",
               f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver",
               f"--enable-feature={features}", "--log.level=warn"]
    return harness.Server(command, directory, port, name).start()


def load(server, rng, histograms):
    series = data.float_series(rng)
    if histograms:
        series += data.utf8_series(rng)
    bodies = [harness.write_request(series)]
    if histograms:
        bodies += [data.histogram_request(data.histogram_series(rng)), *data.mixed_requests(rng)]
    for body in bodies:
        reply = server.post("/api/v1/write", harness.snappy_literals(body), harness.REMOTE_WRITE_HEADERS)
        if reply.status not in (200, 204):
            sys.exit(f"{server.name} does not take the data: {reply.status} {reply.text[:500]}")


def version_of(server):
    text = server.api("status/buildinfo")["version"]
    return tuple(int(part) for part in text.split("+")[0].split("-")[0].split(".")[:2])


class Asker:
    """A connection that is kept."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def ask(self, path, form):
        self.connection.request("POST", path, form, {"Content-Type": "application/x-www-form-urlencoded"})
        return self.connection.getresponse().read()


class Tally:
    def __init__(self, show):
        self.lock = threading.Lock()
        self.show = show
        self.counts = collections.Counter()
        self.failures = []

    def add(self, kind):
        with self.lock:
            self.counts[kind] += 1

    def differ(self, request, text):
        with self.lock:
            self.counts["different"] += 1
            if len(self.failures) < self.show:
                self.failures.append((request, text))
                print(f"DIFFERENT {request}\n    {text}", flush=True)


def random_request(rng, generator):
    fields = {"query": generator.query()}
    if generator.since_3 and rng.random() < STATS:
        fields["stats"] = rng.choice(["all", "true"])  # the second leaves the engine its short cuts
    if rng.random() < 0.4:
        return "/api/v1/query", {**fields, "time": str(data.BASE_S + rng.randrange(0, 1900))}
    start_s = data.BASE_S + rng.randrange(0, 1500)
    step_s = rng.choice([15, 30, 47, 60])
    return "/api/v1/query_range", {**fields, "start": str(start_s), "step": str(step_s),
                                   "end": str(start_s + step_s * rng.randrange(1, 12))}


def judge(tally, request, ours, theirs, version):
    if ours == theirs:
        tally.add("equal to the byte")
        return
    a, b = json.loads(ours), json.loads(theirs)
    found = compare.difference(a, b) or compare.difference_of_stats(a, b)
    if not found and version >= (3, 5):
        one, other = compare.notes(a, version), compare.notes(b, version)
        if one != other:
            found = f"notes: only ours {sorted(one - other)}, only theirs {sorted(other - one)}"
    known = compare.known(request[1]["query"], a, b, version) if found else None
    if known:
        tally.add(known)
    elif found:
        tally.differ(request, found[:1000])
    else:
        tally.add("error in both" if a["status"] == "error" else "equal")


def compare_broken(servers, version, tally):
    """What is said of queries that are refused."""
    ours, theirs = (Asker(server) for server in servers)
    for query in broken.QUERIES:
        form = urllib.parse.urlencode({"query": query, "time": "1"})
        a, b = (json.loads(asker.ask("/api/v1/query", form)) for asker in (ours, theirs))
        said = [(answer.get("errorType"), broken.as_before(answer.get("error", "no error"), version)) for answer in (a, b)]
        if broken.known(query, version):
            tally.add("known: an error's text")
        elif said[0] != said[1]:
            tally.differ(("/api/v1/query", {"query": query}), f"{said[0]} and {said[1]}")
        else:
            tally.add("error's text equal")


def work(options, number, servers, version, tally):
    rng = random.Random(f"{options.seed}/{number}")
    generator = queries.Generator(rng, version, options.histograms, options.features.split(","))
    ours, theirs = (Asker(server) for server in servers)
    for _ in range(options.count // options.jobs):
        path, fields = random_request(rng, generator)
        form = urllib.parse.urlencode(fields)
        judge(tally, (path, fields), ours.ask(path, form), theirs.ask(path, form), version)


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--count", type=int, default=10000, help="queries")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--show", type=int, default=20, help="differences that are printed")
    parser.add_argument("--features", default=FEATURES, help="that both have")
    parser.add_argument("--peer", default="prometheus", help="binary of a Prometheus")
    parser.add_argument("--narthex", required=True, help="our binary")
    return parser.parse_args(arguments)


def run(arguments):
    """The number of differences."""
    options = parse_arguments(arguments)
    tally = Tally(options.show)
    with tempfile.TemporaryDirectory(prefix="differential-") as scratch:
        scratch = pathlib.Path(scratch)
        servers = []
        try:
            servers.append(start(options.narthex, ["server"], options.features, scratch / "narthex", "narthex"))
            servers.append(start(options.peer, [], options.features, scratch / "peer", "peer"))
            version = version_of(servers[1])
            options.histograms = version >= (3, 0)
            for server in servers:
                load(server, random.Random(f"{options.seed}/data"), options.histograms)
            began = time.monotonic()
            threads = [threading.Thread(target=work, args=(options, n, servers, version, tally))
                       for n in range(options.jobs)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if version >= (3, 5):  # they were others before
                compare_broken(servers, version, tally)
        finally:
            for server in servers:
                server.stop()
    asked = sum(tally.counts.values())
    print(f"seed {options.seed}, peer {'.'.join(map(str, version))}, {asked} queries in "
          f"{time.monotonic() - began:.0f} s: "
          + ", ".join(f"{count} {kind}" for kind, count in sorted(tally.counts.items())))
    if asked < options.count // options.jobs * options.jobs:
        sys.exit("not all queries were asked")
    return tally.counts["different"]


if __name__ == "__main__":
    sys.exit(1 if run(sys.argv[1:]) else 0)
