#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Three instances of narthex alertmanager on one PostgreSQL, killed and paused at random: how many alerts are lost or told twice.

    NARTHEX_BIN=build/release/src/main/narthex python3 tests/bench/alertmanager_cluster.py --seconds 240

Intervals are a tenth of usual ones and less (lease 1 s, group_interval 1 s), so that a minute stands for ten.
"""
import argparse
import json
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))

import alertmanager_cluster  # noqa: E402  (needs the path above)
import alertmanager_sink  # noqa: E402
import harness  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=5, help="new alerts a second")
    parser.add_argument("--answer-ms", type=float, default=0, help="how long the receivers take to answer")
    options = parser.parse_args()
    postgres = alertmanager_cluster.Postgres()
    sink = alertmanager_sink.Sink(options.answer_ms)
    try:
        with tempfile.TemporaryDirectory() as directory:
            world = harness.World(pathlib.Path(directory))
            try:
                cluster = alertmanager_cluster.Cluster(world, postgres.url, sink, lease="1s", mail_port=sink.mail_port)
                storm = alertmanager_cluster.Storm(cluster, options.seed, options.rate, 1.6)
                storm.run(options.seconds)
                report = dict(storm.report(), seconds=options.seconds, seed=options.seed)
                report["claims"] = {}
                for member in cluster.members:
                    for line in member.get("/metrics").text.splitlines():
                        if line.startswith("narthex_alertmanager_shared_"):
                            name, value = line.rsplit(" ", 1)
                            report["claims"][name] = report["claims"].get(name, 0) + float(value)
                print(json.dumps(report, indent=1))
            finally:
                world.close()
    finally:
        sink.close()
        postgres.close()
    return 1 if any(report[way]["lost"] or report[way]["twice"] for way in ("webhook", "mail")) else 0


if __name__ == "__main__":
    sys.exit(main())
