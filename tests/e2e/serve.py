#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""serve.py COMMAND...: runs a command against a fresh server, whose address is in NARTHEX_URL.

The server scrapes itself and a page of ours every second and has an Alertmanager in its process; the command starts when both targets are
up and a graph has some points. Ends with the command's exit status.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

import alertmanagers
import harness


ALERTMANAGER = """
route:
  receiver: nobody
  group_by: [alertname, job]
  group_wait: 1s
  routes:
  - receiver: on-call
    matchers: [severity="page"]
    continue: true
    group_by: [job]
    routes:
    - {receiver: database, matchers: [job=~"db|cache"]}
  - {receiver: database, matchers: [job=~"db|cache", severity!="page"], group_wait: 1h}
receivers:
- name: nobody
- name: on-call
  webhook_configs:
  - {url: HOOK, send_resolved: false}
  slack_configs:
  - {api_url: HOOK, channel: '#page', title: '{{ .CommonLabels.alertname.deeper }}'}
- name: database
  slack_configs:
  - {api_url: HOOK, channel: '#db', title: '{{ .Status | toUpper }}: {{ .CommonLabels.alertname }}'}
inhibit_rules:
- {source_matchers: [severity="page"], target_matchers: [severity="warn"], equal: [job]}
"""


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory(prefix="narthex-serve-") as directory:
        world = harness.World(directory)
        hook = alertmanagers.Listener()
        try:
            page = world.target("# TYPE fire_carried_total counter\nfire_carried_total 42\n")
            alertmanager = pathlib.Path(directory, "alertmanager.yml")
            alertmanager.write_text(ALERTMANAGER.replace("HOOK", hook.url + "/slack"))
            server = world.server("", "--web.enable-lifecycle", f"--alertmanager.config.file={alertmanager}")
            pathlib.Path(directory, f"{server.name}.yml").write_text(harness.scrape_config(
                ("narthex", [f"127.0.0.1:{server.port}"]), ("page", [page.address])))
            server.start()
            harness.wait_until(
                "both targets to be up for some scrapes",
                lambda: len(server.query("up == 1 and count_over_time(up[1m]) >= 5")) == 2)
            environment = dict(os.environ, NARTHEX_URL=server.url)
            code = subprocess.run(sys.argv[1:], env=environment, check=False).returncode
            if code != 0:
                print(server.log_tail(), file=sys.stderr)
            return code
        finally:
            world.close()
            hook.close()


if __name__ == "__main__":
    sys.exit(main())
