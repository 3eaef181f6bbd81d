# SPDX-License-Identifier: Apache-2.0
"""What narthex adds to the Alertmanager's API: template previews, test notifications, explain (docs/alerting.md)."""
import json

import pytest

import alertmanagers
import harness
from test_alertmanager_timelines import listener, wait_messages  # noqa: F401  (a fixture)


def config(url):
    return f"""\
global: {{resolve_timeout: 1h}}
route:
  receiver: root
  group_by: [alertname]
  group_wait: 1s
  group_interval: 1h
  routes:
  - {{matchers: ['job="x"'], receiver: team, continue: true, labels: {{owner: 'o-{{{{ .GroupLabels.alertname }}}}'}}}}
  - {{matchers: ['job=~"x|y"', 'team!="z"'], receiver: muted, mute_time_intervals: [always]}}
  - {{matchers: ['job="x"'], receiver: root}}
receivers:
- name: root
- name: team
  webhook_configs: [{{url: '{url}/team'}}]
- name: muted
  webhook_configs: [{{url: '{url}/muted'}}]
- name: unused
  webhook_configs: [{{url: '{url}/unused'}}, {{url: '{url}/unused', send_resolved: false}}, {{url: 'http://127.0.0.1:1/'}}]
- name: wordy
  slack_configs:
  - {{api_url: '{url}/slack/topsecret', channel: 'c-{{{{ .CommonLabels.job }}}}', fields: [{{title: t, value: '{{{{ .Nope }}}}'}}]}}
inhibit_rules:
- {{name: big, source_matchers: [sev=big], target_matchers: [sev=small], equal: [job]}}
time_intervals: [{{name: always, time_intervals: [{{years: ['2000:2100']}}]}}]
"""


@pytest.fixture(name="am")
def running(world, listener):  # noqa: F811
    return alertmanagers.start(world, config(listener.url))


def ask(am, path, document, status=200):
    reply = am.post("/api/v2/narthex/" + path, json.dumps(document).encode(), {"Content-Type": "application/json"})
    assert reply.status == status, reply.text
    return reply.json()


def test_a_text_is_filled_in_with_the_built_in_alert(am):
    got = ask(am, "template", {"text": "{{ .Status }} {{ .GroupLabels.alertname }} {{ len .Alerts }}", "receiver": "team"})
    assert got == {"receiver": "team", "groupKey": '{}/{job="x"}:{alertname="TestAlert"}', "alerts": 1,
                   "groupLabels": {"alertname": "TestAlert"}, "text": "firing TestAlert 1"}


def test_a_text_is_filled_in_with_given_alerts(am):
    alerts = [alertmanagers.alert({"alertname": "B", "i": str(i)}, {"a": "<b>"}) for i in range(2)]
    got = ask(am, "template", {"text": '{{ range .Alerts }}{{ .Labels.i }}{{ .Annotations.a }}{{ end }}', "html": True, "alerts": alerts,
                               "groupLabels": {"g": "1"}})
    assert got["text"] == "0&lt;b&gt;1&lt;b&gt;" and got["groupLabels"] == {"g": "1"}


def test_route_labels_are_there(am):
    assert ask(am, "template", {"text": '{{ .RouteLabels.owner }}', "receiver": "team"})["text"] == "o-TestAlert"


@pytest.mark.parametrize("text, line, column, words", [
    ("a\n {{ nosuch }}", 2, 5, 'function "nosuch" not defined'),
    ("{{ if .X }}", 1, 12, "unexpected EOF"),
    ("x\n\n{{ .Alerts.Nope }}", 3, 11, "can't evaluate field Nope"),
    ("{{ template \"none\" }}", 1, 13, 'template "none" not defined'),
])
def test_faults_have_a_place(am, text, line, column, words):
    fault = ask(am, "template", {"text": text})["error"]
    assert (fault["line"], fault["column"], fault["template"]) == (line, column, ""), fault
    assert words in fault["message"]


def test_all_templates_of_a_receiver_but_no_secret(am):
    reply = am.post("/api/v2/narthex/template", json.dumps({"receiver": "wordy", "alerts": [
        alertmanagers.alert({"alertname": "A", "job": "j"})]}).encode(), {"Content-Type": "application/json"})
    fields = {f["field"]: f for f in reply.json()["fields"]}
    assert fields["channel"]["text"] == "c-j"
    assert fields["title"]["text"].startswith("[FIRING:1]")
    assert "can't evaluate field Nope" in fields["fields[0].value"]["error"]["message"]
    assert "topsecret" not in reply.text


@pytest.mark.parametrize("path, document, status", [
    ("template", {}, 400), ("template", [], 400), ("template", {"text": 5}, 400), ("template", {"text": "x" * 300000}, 400),
    ("template", {"receiver": "nobody"}, 404), ("test", {}, 400), ("test", {"receiver": "nobody"}, 404),
    ("test", {"receiver": "team", "groupKey": "{}:{}"}, 404), ("test", {"receiver": "team", "alerts": []}, 400),
    ("test", {"receiver": "team", "alerts": [{"labels": {}}]}, 400), ("explain", {}, 400), ("explain", {"labels": 1}, 400),
])
def test_wrong_requests_are_refused(am, path, document, status):
    assert isinstance(ask(am, path, document, status), str)


def test_a_test_notification_tells_each_outcome_and_leaves_no_trace(am, listener):  # noqa: F811
    alerts = [alertmanagers.alert({"alertname": "A"}, ends=alertmanagers.stamp(-5), starts=alertmanagers.stamp(-10))]
    before = am.get("/metrics").text
    got = ask(am, "test", {"receiver": "unused", "alerts": alerts})
    rows = got["results"]
    assert [r["status"] for r in rows] == ["success", "skipped", "failed"]
    assert rows[0]["httpStatus"] == 200 and rows[0]["requests"] == 1
    assert rows[2]["error"] and "httpStatus" not in rows[2]
    [message] = listener.messages("/unused")
    assert message["receiver"] == "unused" and message["status"] == "resolved"
    counters = [line for line in before.splitlines() if line.startswith("alertmanager_notification")]
    after = am.get("/metrics").text
    assert counters and all(line in after for line in counters)
    assert am.v2("alerts") == []


def test_a_receiver_that_refuses_is_told(am, listener):  # noqa: F811
    listener.failing["/team"] = 1
    [row] = ask(am, "test", {"receiver": "team"})["results"]
    assert row["status"] == "failed" and row["httpStatus"] == 503 and "unexpected status code 503" in row["error"]
    [row] = ask(am, "test", {"receiver": "team"})["results"]
    assert row["status"] == "success"


def test_test_notifications_can_be_switched_off(world, listener):  # noqa: F811
    am = alertmanagers.start(world, config(listener.url), "--no-web.enable-test-notifications")
    assert "switched off" in ask(am, "test", {"receiver": "team"}, 403)
    assert listener.messages() == []
    assert ask(am, "template", {"text": "x"})["text"] == "x"


def explain(am, **labels):
    got = ask(am, "explain", {"labels": labels})
    by_fingerprint = am.get("/api/v2/narthex/explain", fingerprint=got["fingerprint"])
    if got["alert"] is None:
        assert by_fingerprint.status == 404
    else:
        again = by_fingerprint.json()
        assert dict(again, now="", taken=[]) == dict(got, now="", taken=[])
    return got


def test_explain_of_labels_that_no_alert_has(am):
    got = explain(am, alertname="A", job="x")
    assert got["alert"] is None and got["inhibitedBy"] is None and got["silencedBy"] == []
    assert [(r["depth"], r["receiver"], r["asked"], r["matched"], r["taken"]) for r in got["routes"]] == [
        (0, "root", True, True, False), (1, "team", True, True, True), (1, "muted", True, True, True),
        (1, "root", False, False, False)]
    assert got["routes"][2]["matchers"] == [
        {"name": "job", "operator": "=~", "value": "x|y", "label": "x", "matches": True},
        {"name": "team", "operator": "!=", "value": "z", "label": "", "matches": True}]
    assert [t["receiver"] for t in got["taken"]] == ["team", "muted"]
    assert got["taken"][1]["mutedBy"] == ["always"]
    assert got["taken"][0]["verdict"] == "No such alert is held: nothing is sent."


def test_explain_follows_an_alert(am, listener):  # noqa: F811
    am.send("alerts", [alertmanagers.alert({"alertname": "A", "job": "x", "sev": "small"})])
    early = explain(am, alertname="A", job="x", sev="small")["taken"][0]
    assert early["group"]["holdsAlert"] and early["groupLabels"] == {"alertname": "A"}
    wait_messages(listener, 1, "/team")

    def told():
        team, muted = explain(am, alertname="A", job="x", sev="small")["taken"]
        [one] = team["integrations"]
        return one["last"] and (one, team, muted)
    one, team, muted = harness.wait_until("the notification stands in the log", told)
    assert one["last"]["thisAlert"] == "told as firing" and one["last"]["firing"] == 1
    assert not one["due"] and one["reason"] == "none" and one["repeatAfter"] > one["last"]["at"]
    assert "repeat_interval is not over" in team["verdict"]
    assert muted["integrations"][0]["last"] is None and "muted" in muted["verdict"]

    am.send("alerts", [alertmanagers.alert({"alertname": "A", "job": "x", "i": "2"})])
    one = explain(am, alertname="A", job="x", i="2")["taken"][0]["integrations"][0]
    assert one["due"] and one["reason"] == "new alerts added" and one["last"]["thisAlert"] == "not part of it"

    silence_id = am.silence({"alertname": "A"})
    am.send("alerts", [alertmanagers.alert({"alertname": "B", "job": "x", "sev": "big"})])
    got = explain(am, alertname="A", job="x", sev="small")
    assert got["inhibitedBy"]["labels"]["alertname"] == "B" and got["inhibitedBy"]["ruleName"] == "big"
    assert [s["id"] for s in got["silencedBy"]] == [silence_id]
    assert "inhibited or silenced" in got["taken"][0]["verdict"]


def test_explain_says_why_the_last_attempt_failed_until_one_goes_well(am, listener):  # noqa: F811
    listener.failing["/team"] = 2
    am.send("alerts", [alertmanagers.alert({"alertname": "F", "job": "x"})])

    def team():
        return explain(am, alertname="F", job="x")["taken"][0]

    def failed():
        taken = team()
        return "failed" in taken["integrations"][0] and taken
    taken = harness.wait_until("the failure", failed)
    fault = taken["integrations"][0]["failed"]
    assert "unexpected status code 503" in fault["error"] and fault["attempts"] >= 1
    assert "failed" in taken["verdict"]
    wait_messages(listener, 1, "/team")
    harness.wait_until("its end", lambda: "failed" not in team()["integrations"][0])


def test_a_group_that_stands_can_be_tried(am, listener):  # noqa: F811
    am.send("alerts", [alertmanagers.alert({"alertname": "A", "job": "x", "i": str(i)}) for i in range(3)])
    key = explain(am, alertname="A", job="x", i="0")["taken"][0]["groupKey"]
    assert ask(am, "template", {"text": "{{ len .Alerts }}", "groupKey": key})["text"] == "3"
    got = ask(am, "test", {"receiver": "team", "groupKey": key})
    assert got["alerts"] == 3 and got["results"][0]["status"] == "success"
    assert any(len(m["alerts"]) == 3 for m in listener.messages("/team"))
