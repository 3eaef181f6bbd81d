# SPDX-License-Identifier: Apache-2.0
"""What the server tells of itself has the original's names and kinds, so that its dashboards and alerts work on."""
import pathlib

import harness

# Names and kinds that Prometheus 3.5.3 tells with scraping, discovery, remote write and read, rules and Alertmanagers configured, and
# those that came until 3.14. The Go runtime's are left out.
NAMES = pathlib.Path(__file__).with_name("own_metrics.txt")

# Told by what is not here.
ABSENT = {
    "prometheus_sd_kubernetes_events_total": "kubernetes_sd_configs",
    "prometheus_sd_kubernetes_failures_total": "kubernetes_sd_configs",
}

CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [own_rules.yml]
alerting: {alertmanagers: [{static_configs: [{targets: ['127.0.0.1:1']}]}]}
remote_write: [{url: 'http://127.0.0.1:1/w', send_exemplars: true}]
remote_read: [{url: 'http://127.0.0.1:1/r', read_recent: true}]
scrape_configs:
  - job_name: self
    scrape_interval: %s
    static_configs: [{targets: ['127.0.0.1:%d']}]
  - job_name: others
    file_sd_configs: [{files: [own_*.json]}]
    http_sd_configs: [{url: 'http://127.0.0.1:1/'}]
    dns_sd_configs: [{names: [localhost], type: A, port: 1}]
    consul_sd_configs: [{server: '127.0.0.1:1'}]
    kuma_sd_configs: [{server: 'http://127.0.0.1:1'}]
"""
RULES = "groups: [{name: g, interval: 1s, rules: [{record: r, expr: vector(1)}, {alert: A, expr: vector(1)}]}]\n"


def kinds(text):
    return {line.split()[2]: line.split()[3] for line in text.splitlines() if line.startswith("# TYPE")}


def test_names_and_kinds_are_the_original_s(world):
    wanted = dict(line.split() for line in NAMES.read_text().splitlines() if not line.startswith("#"))
    world.write_file("own_rules.yml", RULES)
    world.write_file("own_targets.json", '[{"targets": ["127.0.0.1:1"]}]')
    flags = ("--web.enable-remote-write-receiver", "--web.enable-lifecycle", "--enable-feature=exemplar-storage")
    server = world.server("", *flags, name="own")
    world.write_file("own.yml", CONFIG % ("1s", server.port))
    server.start()
    server.query("up")
    world.write_file("own.yml", CONFIG % ("2s", server.port))
    assert server.post("/-/reload").status == 200

    def told():
        got = kinds(server.get("/metrics").text)
        missing = {name for name in wanted if name not in got} - set(ABSENT)
        return got if not missing else None
    got = harness.wait_until("all names", told, 60)

    assert {name: got[name] for name in wanted if name in got} == {name: kind for name, kind in wanted.items() if name in got}
    assert not set(ABSENT) & set(got)  # the list of what is missing is kept true
