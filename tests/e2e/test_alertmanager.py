# SPDX-License-Identifier: Apache-2.0
"""narthex alertmanager among its neighbours: amtool, Prometheus, narthex server."""
import json
import os
import re
import subprocess

import pytest

import alertmanagers
import harness
from test_alertmanager_timelines import listener, wait_messages  # noqa: F401  (a fixture)

TREE = """\
route:
  receiver: a
  group_by: [job]
  routes:
  - {matchers: ['job="x"'], receiver: b, continue: true}
  - {match_re: {job: 'x.*'}, receiver: a}
receivers: [{name: a}, {name: b}]
"""


def amtool(server, *arguments, stdin=None):
    environment = dict(os.environ, TZ="UTC", HOME=str(server.directory))
    run = subprocess.run([os.environ.get("AMTOOL_PEER") or harness.original("amtool"), f"--alertmanager.url={server.url}",
                          *arguments], input=stdin, capture_output=True, text=True, check=False, env=environment)
    return run.returncode, run.stdout, run.stderr


def reads_new_configurations():
    """Whether this amtool knows the settings that later Alertmanagers print; before, `config routes` fails against them, too."""
    tool = os.environ.get("AMTOOL_PEER") or harness.original("amtool")
    run = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True)
    return int(re.search(r"version 0\.(\d+)", run.stdout + run.stderr).group(1)) >= 33


def steps(server):
    """All commands of amtool, with ids and times taken out of what they print."""
    out = []

    def do(*arguments):
        code, text, _ = amtool(server, *arguments)
        text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)
        text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( UTC|Z)", "TIME", text)
        out.append((arguments, code, "\n".join(line.rstrip() for line in text.splitlines() if not line.startswith("Warning:"))))

    do("alert", "add", "alertname=foo", "node=bar", "--annotation=summary=hi")
    do("alert", "add", "foo2", "node=baz")
    for options in ([], ["-o", "extended"], ["foo", "node=~b.*"], ["-a"], ["-r", "a"]):
        do("alert", "query", *options)
    silence_id = amtool(server, "silence", "add", "alertname=foo", "-c", "why", "-a", "me", "-d", "1h")[1].strip()
    for options in ([], ["-o", "extended"], ["-q"], ["alertname=foo"], ["alertname=other"], ["--within", "2h"]):
        do("silence", "query", *options)
    do("alert", "query")
    do("alert", "query", "-s")
    do("silence", "update", "-d", "2h", "-c", "new", silence_id)
    _, exported, _ = amtool(server, "silence", "query", "-o", "json")
    do("silence", "expire", silence_id)
    do("silence", "query", "--expired")
    (server.directory / "silences.json").write_text(exported)
    do("silence", "import", "-f", "silences.json")
    do("silence", "query")
    do("silence", "expire", "00000000-0000-0000-0000-000000000000")
    do("silence", "add", "x=y")
    do("check-config", str(server.config_path))
    if reads_new_configurations():
        do("config", "routes")
        do("config", "routes", "test", "job=x")
        do("config", "routes", "test", "--tree", "job=x")
    do("config", "show")
    do("cluster", "show")
    return out


def test_amtool_works_in_each_command(world):
    ours = steps(alertmanagers.start(world, TREE, name="am", data="ours"))
    world.servers[-1].stop()
    theirs = steps(alertmanagers.start(world, TREE, name="am", data="theirs", original=True))
    for (arguments, code, text), (_, their_code, their_text) in zip(ours, theirs):
        assert code == their_code, (arguments, text)
        if arguments[:2] == ("config", "show"):
            continue  # versions differ in what they print of defaults
        assert text == their_text, arguments


PING = """\
groups:
- name: ping
  interval: 1s
  rules:
  - alert: HighPing
    expr: ping_request_count > 5
    for: 2s
    labels: {severity: critical}
    annotations: {summary: "{{ $labels.job }} has {{ $value }}"}
"""
HOOK = """\
route: {receiver: hook, group_by: [job], group_wait: 2s, group_interval: 2s}
receivers:
- name: hook
  webhook_configs: [{url: "%s/hook"}]
"""


@pytest.mark.parametrize("who", ["narthex", "prometheus"])
def test_from_metric_to_webhook(world, listener, who):  # noqa: F811
    """The example that users begin with: a counter, a rule, a webhook grouped by job."""
    page = ["ping_request_count 3\n"]
    target = world.target(lambda: page[0])
    manager = alertmanagers.start(world, HOOK % listener.url)
    world.write_file("rules.yml", PING)
    config = harness.scrape_config(("pings", [target.address]), extra="  evaluation_interval: 1s") + (
        f"rule_files: [rules.yml]\nalerting:\n  alertmanagers:\n  - static_configs:\n    - targets: ['127.0.0.1:{manager.port}']\n")
    server = world.prometheus(config) if who == "prometheus" else world.server(config)
    server.start()
    page[0] = "ping_request_count 9\n"
    message = wait_messages(listener, 1)[0]
    assert message["status"] == "firing" and message["groupLabels"] == {"job": "pings"}
    assert message["alerts"][0]["labels"]["alertname"] == "HighPing"
    assert message["alerts"][0]["annotations"] == {"summary": "pings has 9"}
    page[0] = "ping_request_count 1\n"
    assert wait_messages(listener, 2)[1]["status"] == "resolved"


def test_api_tells_faults_as_the_original(world):
    server = alertmanagers.start(world, TREE)
    headers = {"Content-Type": "application/json"}
    for path, body, status, word in [
            ("alerts", "[{}]", 422, '{"code":602,"message":"0.labels in body is required"}'),
            ("alerts", "{", 400, '"code":400'),
            ("alerts", '[{"labels":{}}]', 400, '"at least one label pair required"'),
            ("alerts", '[{"labels":{"a":"b"},"generatorURL":"no url"}]', 422, "must be of type uri"),
            ("silences", "{}", 422, '{"code":602,"message":"comment in body is required"}'),
            ("silences", json.dumps({"matchers": [{"name": "a", "value": "", "isRegex": False}], "createdBy": "a", "comment": "b",
                                     "startsAt": alertmanagers.stamp(), "endsAt": alertmanagers.stamp(60)}), 400,
             "at least one matcher must not match the empty string"),
            ("silences", json.dumps({"matchers": [{"name": "a", "value": "[", "isRegex": True}], "createdBy": "a", "comment": "b",
                                     "startsAt": alertmanagers.stamp(), "endsAt": alertmanagers.stamp(60)}), 400,
             "invalid regular expression"),
            ("silences", json.dumps({"matchers": [{"name": "a", "value": "b", "isRegex": False}], "createdBy": "a", "comment": "b",
                                     "startsAt": alertmanagers.stamp(-90), "endsAt": alertmanagers.stamp(-60)}), 400,
             "end time can't be in the past"),
    ]:
        reply = server.post("/api/v2/" + path, body.encode(), headers)
        assert reply.status == status and word in reply.text, (path, body, reply.status, reply.text)
    assert server.get("/api/v2/silence/x").status == 422
    assert server.get("/api/v2/silence/11111111-1111-1111-1111-111111111111").status == 404
    assert server.get("/api/v2/alerts", filter="foo").text == '"bad matcher format: foo"\n'
    assert server.get("/api/v1/alerts").status == 410
    assert server.post("/api/v2/alerts", b"[]", {"Content-Type": "text/plain"}).status == 415


def test_state_of_the_original_is_taken_over(world, listener):  # noqa: F811
    config = HOOK % listener.url
    old = alertmanagers.start(world, config, original=True, data="moved")
    silence_id = old.silence({"alertname": "B"})
    old.send("alerts", [alertmanagers.alert({"alertname": "A", "job": "j"})])
    wait_messages(listener, 1)
    old.stop()
    new = alertmanagers.start(world, config, data="moved")
    assert [s["id"] for s in new.v2("silences")] == [silence_id]
    new.send("alerts", [alertmanagers.alert({"alertname": "A", "job": "j"}), alertmanagers.alert({"alertname": "C", "job": "k"})])
    assert wait_messages(listener, 2)[1]["groupLabels"] == {"job": "k"}


def test_in_the_servers_own_process(world, listener):  # noqa: F811
    """Alerts of rules reach the Alertmanager by a call; its API stands below /alertmanager on the server's port."""
    target = world.target("ping_request_count 9\n")
    world.write_file("rules.yml", PING)
    world.write_file("am.yml", HOOK % listener.url)
    config = harness.scrape_config(("pings", [target.address]), extra="  evaluation_interval: 1s") + "rule_files: [rules.yml]\n"
    server = world.server(config, f"--alertmanager.config.file={world.directory / 'am.yml'}", "--web.enable-lifecycle")
    server.start()
    message = wait_messages(listener, 1)[0]
    assert message["alerts"][0]["labels"]["alertname"] == "HighPing"
    assert message["externalURL"].endswith("/alertmanager")
    alerts = server.get("/alertmanager/api/v2/alerts").json()
    assert [a["labels"]["alertname"] for a in alerts] == ["HighPing"]
    assert server.get("/alertmanager/").status == 200 and server.get("/api/v1/alerts").status == 200
    assert server.metric('alertmanager_notifications_total{integration="webhook"}') >= 1
    world.write_file("am.yml", "route: {}\n")
    reply = server.reload()
    assert reply.status == 500 and "root route" in reply.text
    world.write_file("am.yml", HOOK % (listener.url + "/again"))
    assert server.reload().status == 200
    assert server.stop() == 0


def test_the_stack_has_one_that_tells_nobody(world):
    server = world.all_in_one()
    server.start()
    assert server.get("/alertmanager/api/v2/status").json()["cluster"]["status"] == "disabled"
    assert server.get("/alertmanager/-/ready").status == 200
    assert server.stop() == 0


def test_tool_looks_at_files_as_amtool_does(world):
    world.write_file("tree.yml", TREE)
    world.write_file("bad.yml", "route: {}\n")
    for arguments in (["check-config", "tree.yml"], ["config", "routes", "show", "--config.file=tree.yml"],
                      ["config", "routes", "test", "--config.file=tree.yml", "job=x"],
                      ["config", "routes", "test", "--config.file=tree.yml", "--verify.receivers=a", "job=x"]):
        ours = world.run("tool", *arguments)
        theirs = world.run(*arguments, binary=os.environ.get("AMTOOL_PEER") or harness.original("amtool"))
        assert (ours.returncode, ours.stdout.strip()) == (theirs.returncode, theirs.stdout.strip()), arguments
    bad = world.run("tool", "check-config", "bad.yml")
    assert bad.returncode == 1 and "root route must specify a default receiver" in bad.stdout
