#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""serve.py COMMAND...: runs a command against a fresh server, whose address is in NARTHEX_URL.

Beside it there are one below the prefix /a/b/ (PREFIX_URL) and an agent (AGENT_URL). The server scrapes itself and a page of ours every second and has an Alertmanager in its process; the command starts when both targets are
up, a graph has some points and "wave" has 50 series of 1,000. Ends with the command's exit status.
"""
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time

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
            server = world.server("", "--web.enable-lifecycle", "--web.enable-remote-write-receiver",
                                  f"--alertmanager.config.file={alertmanager}")
            pathlib.Path(directory, f"{server.name}.yml").write_text(harness.scrape_config(
                ("narthex", [f"127.0.0.1:{server.port}"]), ("page", [page.address])))
            server.start()
            jobs = harness.scrape_config(("page", [page.address]))
            prefixed = world.server(jobs, f"--web.external-url=http://example.org/a/b/", data="prefixed")
            prefixed.start(ready=False)
            agent = world.agent(jobs).start()
            harness.wait_until(
                "both targets to be up for some scrapes",
                lambda: len(server.query("up == 1 and count_over_time(up[1m]) >= 5")) == 2)
            now_ms = int(time.time() * 1000) // 3000 * 3000
            reply = server.write([({"__name__": "wave", "i": str(i)},
                                   [(now_ms - k * 3000, i + math.sin(k / 20)) for k in range(1000, 0, -1)]) for i in range(50)])
            assert reply.status == 204, reply.text()
            environment = dict(os.environ, NARTHEX_URL=server.url, PREFIX_URL=f"{prefixed.url}/a/b/", AGENT_URL=agent.url)
            code = subprocess.run(sys.argv[1:], env=environment, check=False).returncode
            if code != 0:
                print(server.log_tail(), file=sys.stderr)
            return code
        finally:
            world.close()
            hook.close()


if __name__ == "__main__":
    sys.exit(main())
