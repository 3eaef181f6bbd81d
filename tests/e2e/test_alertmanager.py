# SPDX-License-Identifier: Apache-2.0
"""narthex alertmanager among its neighbours: amtool, Prometheus, narthex server."""
import http.client
import json
import os
import re
import subprocess
import time

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
            ("alerts", "", 422, '{"code":602,"message":"alerts in body is required"}'),
            ("silences", " ", 422, '{"code":602,"message":"silence in body is required"}'),
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
    assert server.get("/api/v2/alerts", filter="").text == '"bad matcher format: "\n'
    assert server.post("/metrics", b"x", {}).status == 405
    assert server.get("/api/v2/receivers", receiver_matchers="x").text == '"failed to parse receiver_matchers param: bad matcher format: x"\n'
    for path, status in [("/api/v1/alerts", 410), ("/api/v1/silence/x", 410), ("/api/v1/foo", 404), ("/api/v1/silence/", 404)]:
        assert server.get(path).status == status, path
    for reply, allow in [(server.post("/-/healthy"), "GET, HEAD, OPTIONS"), (server.post("/"), "GET, OPTIONS"),
                         (server.get("/-/reload"), "OPTIONS, POST")]:
        assert (reply.status, reply.headers["Allow"]) == (405, allow)
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    connection.request("GET", "/api/v2")
    reply = connection.getresponse()
    assert (reply.status, reply.getheader("Location")) == (301, "/api/v2/")
    connection.close()
    assert server.post("/api/v2/alerts", b"[]", {"Content-Type": "text/plain"}).status == 415


def test_state_of_the_original_is_taken_over(world, listener):  # noqa: F811
    config = HOOK % listener.url
    old = alertmanagers.start(world, config, original=True, data="moved")
    silence_id = old.silence({"alertname": "B"})
    old.send("alerts", [alertmanagers.alert({"alertname": "A", "job": "j"})])
    wait_messages(listener, 1)
    # It writes down what it has told once it has the answer.
    harness.wait_until("the answer to be counted", lambda: old.metric('alertmanager_notification_latency_seconds_count{integration="webhook"}'))
    time.sleep(0.5)
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


def test_features_give_metrics_more_labels(world, listener):  # noqa: F811
    """As the original does, but for receivers that a reload drops: their series stay."""
    config = f"""\
route: {{receiver: one, group_by: [alertname], group_wait: 10ms, group_interval: 1s, routes: [{{matchers: [team="x"], receiver: two}}]}}
receivers:
- {{name: one, webhook_configs: [{{url: '{listener.url}/one'}}]}}
- {{name: two, webhook_configs: [{{url: '{listener.url}/two'}}, {{url: '{listener.url}/two'}}]}}
"""
    features = "--enable-feature=receiver-name-in-metrics,alert-names-in-metrics,group-key-in-metrics"

    def series(server, *names):
        text = server.get("/metrics").text
        return sorted(line for line in text.splitlines() if line.split("{")[0].split(" ")[0] in names)
    counters = ("alertmanager_notifications_total", "alertmanager_notification_requests_total", "alertmanager_notification_requests_failed_total",
                "alertmanager_notifications_failed_total", "alertmanager_alerts_limited_total", "alertmanager_notification_latency_seconds_count")
    found = []
    # The label receiver_name is there since 0.27, alertname since 0.30.
    for original in (False, True) if alertmanagers.peer_minor() >= 30 else (False,):
        server = alertmanagers.start(world, config, features, "--alerts.per-alertname-limit=1", original=original)
        server.send("alerts", [alertmanagers.alert({"alertname": "A", "team": "x", "i": str(i)}) for i in range(3)]
                    + [alertmanagers.alert({"alertname": "B"})])
        harness.wait_until("three notifications", lambda: len(listener.requests) == 3)
        wanted = 'alertmanager_notifications_total{integration="webhook",receiver_name="two"} 2'
        harness.wait_until("all to be counted", lambda: wanted in server.get("/metrics").text)
        harness.wait_until("a time for each", lambda: sum(float(line.rsplit(" ", 1)[1]) for line in series(server, counters[-1])) == 3)
        found.append([line for line in series(server, *counters) if "authError" not in line and "rateLimited" not in line])
        assert server.stop() == 0
        listener.requests.clear()
    assert 'alertmanager_alerts_limited_total{alertname="A"} 2' in found[0]
    assert 'alertmanager_notifications_failed_total{integration="webhook",reason="other",receiver_name="one"} 0' in found[0]
    assert all(one == found[0] for one in found)
    server = alertmanagers.start(world, config, features, data="again")
    server.send("alerts", [alertmanagers.alert({"alertname": "A", "team": "x", "i": str(i)}) for i in range(3)])
    key = r'{}/{team=\"x\"}:{alertname=\"A\"}'
    wanted = [f'alertmanager_alerts{{group_key="{key}",state="{state}"}} {count}' for state, count in (("active", 3), ("suppressed", 0), ("unprocessed", 0))]
    harness.wait_until("a group that has been told", lambda: series(server, "alertmanager_alerts") == wanted)


STATES = """
route:
  receiver: a
  group_by: [alertname]
  group_wait: 1s
  group_interval: 2s
  routes:
  - {receiver: a, matchers: ['late="1"'], group_wait: 1h, continue: true}
  - {receiver: b, matchers: ['late="1"']}
  - {receiver: a, matchers: ['muted="1"'], mute_time_intervals: [always]}
  - {receiver: a, matchers: ['long="1"'], group_wait: 1h}
time_intervals: [{name: always, time_intervals: [{}]}]
inhibit_rules: [{source_matchers: ['source=1'], target_matchers: ['target=1']}]
receivers: [{name: a}, {name: b}]
"""


@pytest.mark.parametrize("original", [False, True], ids=["narthex", "original"])
def test_alerts_are_unprocessed_until_a_flush_has_seen_them(world, original):
    if original and alertmanagers.peer_minor() < 33:
        pytest.skip(f"the original here is 0.{alertmanagers.peer_minor()}, which counts otherwise; $ALERTMANAGER_PEER names a later one")
    server = alertmanagers.start(world, STATES, original=original)

    def counts():
        rows = re.findall(r'^alertmanager_alerts{state="(.*)"} (\d+)', server.get("/metrics").text, re.M)
        return {state: int(count) for state, count in rows}

    def seen(name):
        return [a["status"]["state"] for a in server.v2("alerts") if a["labels"]["alertname"] == name]

    assert counts() == {"active": 0, "suppressed": 0, "unprocessed": 0}
    silence = server.silence({"silenced": "1"})
    server.send("alerts", [alertmanagers.alert({"alertname": name or "Plain", **({name: "1"} if name else {})})
                           for name in ("", "silenced", "source", "target", "muted", "late", "long")])
    server.send("alerts", [alertmanagers.alert({"alertname": "both", "late": "1", "silenced": "1"})])
    # The API tells what would hold an alert back now; the metric what the last flush found.
    assert (seen("long"), seen("silenced"), seen("target")) == (["active"], ["suppressed"], ["suppressed"])
    assert server.v2("alerts", unprocessed="false") == server.v2("alerts")
    assert sum(counts().values()) == 8
    harness.wait_until('{"active": 4, "suppressed": 3, "unprocessed": 1}', lambda: counts() == {"active": 4, "suppressed": 3, "unprocessed": 1})
    server.expire(silence)
    assert seen("silenced") == ["active"]
    harness.wait_until('{"active": 6, "suppressed": 1, "unprocessed": 1}', lambda: counts() == {"active": 6, "suppressed": 1, "unprocessed": 1})
    server.send("alerts", [alertmanagers.alert({"alertname": "long", "long": "1"}, ends=alertmanagers.stamp())])
    harness.wait_until('{"active": 6, "suppressed": 1, "unprocessed": 0}', lambda: counts() == {"active": 6, "suppressed": 1, "unprocessed": 0})
