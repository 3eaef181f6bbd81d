# SPDX-License-Identifier: Apache-2.0
"""No secret of the configuration is shown: not by the API, not in the log, not by the tool, not in errors."""
import re
import subprocess

import harness

MARK = "opensesame"  # every secret is this and a number
UUID = "11111111-2222-3333-4444-555555555555"

# Ways to prove who one is, in any block of an HTTP client; the host in URLs is one that nobody answers at.
WAYS = [
    "basic_auth: {username: u, password: %s}",
    "authorization: {type: Bearer, credentials: %s}",
    "bearer_token: %s",
    "oauth2: {client_id: c, client_secret: %s, token_url: 'http://127.0.0.1:1/t'}",
    "oauth2: {client_id: c, grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', client_certificate_key: %s, "
    "token_url: 'http://127.0.0.1:1/t'}",
    "oauth2: {client_id: c, token_url: 'http://127.0.0.1:1/t', proxy_url: 'http://u:%s@127.0.0.1:1'}",
    "tls_config: {cert: c, key: %s}",
    "proxy_url: 'http://u:%s@127.0.0.1:1'",
    "{proxy_url: 'http://127.0.0.1:1', proxy_connect_header: {X-A: [%s]}}",
    "http_headers: {X-A: {secrets: [%s]}}",
]
DISCOVERIES = [
    "consul: {server: '127.0.0.1:1', token: %s}",
    "consul: {server: '127.0.0.1:1', username: u, password: %s}",
    "azure: {subscription_id: s, tenant_id: t, client_id: c, client_secret: %s}",
    "marathon: {servers: ['http://127.0.0.1:1'], auth_token: %s}",
    "openstack: {role: instance, region: r, identity_endpoint: 'http://127.0.0.1:1', username: u, domain_id: d, password: %s}",
    "openstack: {role: instance, region: r, identity_endpoint: 'http://127.0.0.1:1', application_credential_id: i, "
    "application_credential_secret: %s}",
    "outscale: {region: r, access_key: a, endpoint: 'http://127.0.0.1:1', secret_key: %s}",
    "ovhcloud: {endpoint: 'http://127.0.0.1:1', service: vps, application_key: a, application_secret: %s, consumer_key: c}",
    "ovhcloud: {endpoint: 'http://127.0.0.1:1', service: vps, application_key: a, application_secret: c, consumer_key: %s}",
    "scaleway: {role: instance, project_id: " + UUID + ", access_key: SCWXXXXXXXXXXXXXXXXX, secret_key: %s, "
    "api_url: 'http://127.0.0.1:1'}",
    "stackit: {project: " + UUID + ", endpoint: 'http://127.0.0.1:1', service_account_key: %s}",
    "stackit: {project: " + UUID + ", endpoint: 'http://127.0.0.1:1', private_key: %s}",
    "uyuni: {server: 'http://127.0.0.1:1', username: u, password: %s}",
    "ec2: {region: r, endpoint: 'http://127.0.0.1:1', access_key: a, secret_key: %s}",
    "oci: {auth: api_key, tenancy: t, user: u, fingerprint: f, key_file: none, region: r, key_passphrase: %s}",
    "http: {url: 'http://u:%s@127.0.0.1:1/'}",
]
REMOTES = [
    "sigv4: {region: r, access_key: a, secret_key: %s}",
    "azuread: {oauth: {client_id: " + UUID + ", client_secret: %s, tenant_id: t}}",
    "azuread: {certificate: {client_id: " + UUID + ", tenant_id: t, certificate_path: none, certificate_password: %s}}",
]


def numbered(ways, first):
    return [way % f"{MARK}{first + i}" for i, way in enumerate(ways)]


def inner(way):
    return way[1:-1] if way.startswith("{") else way


def configuration():
    jobs = [f"  - {{job_name: way{i}, static_configs: [{{targets: ['127.0.0.1:1']}}], {inner(way)}}}"
            for i, way in enumerate(numbered(WAYS, 100))]
    jobs += [f"  - {{job_name: found{i}, {way.split(':', 1)[0]}_sd_configs: [{way.split(':', 1)[1].strip()}]}}"
             for i, way in enumerate(numbered(DISCOVERIES, 200))]
    writes = [f"  - {{url: 'http://127.0.0.1:1/{i}', {inner(way)}}}"
              for i, way in enumerate(numbered(WAYS + REMOTES, 300))]
    writes.append(f"  - {{url: 'http://u:{MARK}399@127.0.0.1:1/'}}")
    reads = [f"  - {{url: 'http://127.0.0.1:1/{i}', read_recent: true, {inner(way)}}}"
             for i, way in enumerate(numbered(WAYS, 400))]
    managers = [f"    - {{static_configs: [{{targets: ['127.0.0.1:1']}}], {inner(way)}}}"
                for i, way in enumerate(numbered(WAYS + REMOTES[:1], 500))]
    parts = ["global: {scrape_interval: 500ms, scrape_timeout: 500ms}", "rule_files: [alarm.yml]", "scrape_configs:", *jobs,
             "remote_write:", *writes, "remote_read:", *reads, "alerting:", "  alertmanagers:", *managers]
    return "\n".join(parts) + "\n"


def test_no_secret_is_shown(world):
    world.write_file("alarm.yml", "groups: [{name: g, interval: 1s, rules: [{alert: A, expr: vector(1)}]}]\n")
    server = world.server(configuration(), "--log.level=debug", name="secrets")
    server.start()
    harness.wait_until("failures of all kinds", lambda: all(
        target["lastError"] for target in server.targets()) and len(server.targets()) == len(WAYS), 60)
    harness.wait_until("failures of remote write",
                       lambda: server.get("/metrics").text.count("_samples_retried_total") and "remote" in server.log(), 60)
    failed = server.get("/api/v1/query", query="up")

    config = world.directory / "secrets.yml"
    tool = world.run("tool", "check", "config", str(config))
    shown = {
        "config": server.api("status/config")["yaml"],
        "targets": server.get("/api/v1/targets").text,
        "query": failed.text,
        "alertmanagers": server.get("/api/v1/alertmanagers").text,
        "metrics": server.get("/metrics").text,
        "flags": server.get("/api/v1/status/flags").text,
        "tool": tool.stdout + tool.stderr,
        "log": server.log(),
        "command line": subprocess.run(["ps", "-o", "args=", "-p", str(server.process.pid)], capture_output=True, text=True,
                                       check=True).stdout,
    }

    leaks = {where: sorted(set(re.findall(MARK + r"\d+", text))) for where, text in shown.items()}
    assert not any(leaks.values()), leaks
    assert shown["config"].count("<secret>") > 50


def test_errors_of_a_broken_configuration_do_not_repeat_secrets(world):
    for text in (f"scrape_configs: [{{job_name: a, basic_auth: {{username: u, password: [{MARK}1]}}}}]\n",
                 f"scrape_configs: [{{job_name: a, basic_auth: {MARK}1}}]\n",
                 f"scrape_configs: [{{job_name: a, http_headers: {{X-A: {{secrets: {MARK}1}}}}}}]\n",
                 f"remote_write: [{{url: 'ftp://u:{MARK}1@h/'}}]\n",
                 f"scrape_configs: [{{job_name: a, proxy_url: 'http://u:{MARK}1@h', no_proxy: x, proxy_from_environment: true}}]\n"):
        config = world.write_file("broken.yml", text)

        shown = world.run("server", f"--config.file={config}", "--web.listen-address=127.0.0.1:0",
                          f"--storage.tsdb.path={world.directory}/broken")

        assert shown.returncode == 2, text
        assert MARK not in shown.stdout + shown.stderr, shown.stderr
