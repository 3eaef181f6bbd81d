#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""100,000 active alerts, 1,000 silences, 10,000 alerts that may be inhibited: CPU and memory of narthex alertmanager, and of the original.

    NARTHEX_BIN=build/release/src/main/narthex ALERTMANAGER_PEER=/path/to/alertmanager python3 tests/bench/alertmanager_load.py

Alerts look as those of a cluster: 9 labels, 3 annotations, a generator URL; groups of 100. CPU is the process' own, so that other work on
the machine does not count. All groups are told at once, long after the last alert has come (--dispatch.start-delay, which the original has
since 0.30), to a receiver that answers at once: what is measured then is telling alone.
"""
import argparse
import json
import os
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))

import alertmanager_sink  # noqa: E402  (needs the path above)
import alertmanagers  # noqa: E402
import harness  # noqa: E402

CONFIG = """\
route:
  receiver: hook
  group_by: [alertname, namespace]
  group_wait: 1s
  group_interval: 1h
  repeat_interval: 4h
receivers:
- name: hook
  webhook_configs: [{url: '%s/hook'}]
inhibit_rules:
- source_matchers: ['severity="critical"', 'alertname="NodeDown"']
  target_matchers: ['severity="info"']
  equal: [cluster, node]
"""
HZ = os.sysconf("SC_CLK_TCK")


def make_alert(i):
    namespace, name = f"team-{i // 100 % 50}", f"Alert{i // 5000}"
    severity = "info" if i % 10 == 0 else "warning"
    pod = f"service-{i % 100}-7d9f8b6c5-{i:05x}"
    return {
        "labels": {"alertname": name, "namespace": namespace, "pod": pod, "node": f"node-{i % 500}", "cluster": "prod-eu-1",
                   "job": "kubelet", "instance": f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}:10250", "severity": severity,
                   "prometheus": "monitoring/k8s"},
        "annotations": {"summary": f"Pod {namespace}/{pod} is not healthy",
                        "description": f"Pod {namespace}/{pod} has been in a non-ready state for longer than 15 minutes on "
                                       f"cluster prod-eu-1, its last state was {i % 7}.",
                        "runbook_url": f"https://runbooks.example.org/runbooks/kubernetes/{name.lower()}"},
        "startsAt": "2026-01-01T00:00:00Z" if i < 0 else alertmanagers.stamp(),
        "generatorURL": f"https://prometheus.example.org/graph?g0.expr=sum%28kube_pod_status_phase%7Bx%3D%22{name}%22%7D%29&g0.tab=1"}


def cpu_s(server):
    fields = pathlib.Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / HZ


def memory_mib(server, key="VmRSS"):
    for line in pathlib.Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    return 0


def measure(world, original, count, settle_s, delay_s):
    listener = alertmanager_sink.Sink(bare=True)
    begun = time.monotonic()
    server = alertmanagers.start(world, CONFIG % listener.url, f"--dispatch.start-delay={delay_s}s", original=original)
    result = {"idle_mib": memory_mib(server)}
    for i in range(1000):
        server.silence({"alertname": f"Alert{i % 20}", "pod": f"service-{i % 100}-7d9f8b6c5-{i * 37:05x}", "job": "kubelet"})
    result["silences_cpu_s"] = cpu_s(server)
    nodes = [{"labels": {"alertname": "NodeDown", "node": f"node-{n}", "cluster": "prod-eu-1", "severity": "critical"}}
             for n in range(0, 500, 2)]
    server.send("alerts", nodes)
    before = cpu_s(server)
    alerts = [make_alert(i) for i in range(count)]
    bodies = [json.dumps(alerts[at:at + 256]).encode() for at in range(0, count, 256)]

    def send_all():
        for body in bodies:
            reply = server.post("/api/v2/alerts", body, {"Content-Type": "application/json"})
            assert reply.status == 200, reply.text[:300]
    send_all()
    result["intake_cpu_s"] = cpu_s(server) - before
    before = cpu_s(server)
    send_all()
    result["again_cpu_s"] = cpu_s(server) - before
    result["quiet_s"] = begun + delay_s - time.monotonic()
    assert result["quiet_s"] > 1 and not listener.told, "alerts came in for too long: a longer --delay"
    before = cpu_s(server)
    seen = -1
    while seen < len(listener.told) or seen == 0:
        seen = len(listener.told)
        time.sleep(10)
    result["notifications"] = len(listener.told)
    times = sorted(r["at"] for r in listener.told)
    result["notifications_per_s"] = (len(times) - 1) / (times[-1] - times[0])
    result["notification_cpu_ms"] = (cpu_s(server) - before) * 1000 / len(times)
    result["peak_mib"] = memory_mib(server, "VmHWM")
    result["rss_now_mib"] = memory_mib(server)
    time.sleep(settle_s)
    send_all()
    result["rss_mib"] = memory_mib(server)
    server.stop()
    listener.close()
    return {k: round(v, 3) for k, v in result.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--alerts", type=int, default=100000)
    parser.add_argument("--settle", type=float, default=0, help="seconds to wait before memory is looked at")
    parser.add_argument("--delay", type=int, default=60, help="seconds from the start to the notifications")
    parser.add_argument("--only", choices=["narthex", "original"])
    options = parser.parse_args()
    out = {}
    for name in ("narthex", "original"):
        if options.only in (None, name):
            with tempfile.TemporaryDirectory() as directory:
                world = harness.World(pathlib.Path(directory))
                try:
                    out[name] = measure(world, name == "original", options.alerts, options.settle, options.delay)
                finally:
                    world.close()
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
