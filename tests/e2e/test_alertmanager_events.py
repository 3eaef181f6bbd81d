# SPDX-License-Identifier: Apache-2.0
"""The event recorder: what happened to alerts and silences, line by line."""
import json
import subprocess

import alertmanagers
import harness
from test_alertmanager_timelines import listener  # noqa: F401  (a fixture)

CONFIG = """\
route:
  receiver: hook
  group_by: [alertname]
  group_wait: 100ms
  group_interval: 500ms
  repeat_interval: 1h
  routes:
  - matchers: [team="x"]
receivers:
- name: hook
  webhook_configs: [{url: '%s/hook'}]
inhibit_rules:
- source_matchers: [alertname="down"]
  target_matchers: [severity="info"]
  equal: [job]
event_recorder:
  file_outputs: [{path: events.jsonl}]
  stdout_outputs: [{}]
"""


def events(world):
    path = world.directory / "events.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def of_kind(world, kind):
    return [e["data"][kind] for e in events(world) if kind in e["data"]]


def test_each_event_is_a_line_with_the_original_s_fields(world, listener):
    server = alertmanagers.start(world, CONFIG % listener.url, "--enable-feature=event-recorder", "--cluster.peer-name=me")
    silence = server.silence({"alertname": "quiet"}, comment="why")
    server.send("alerts", [alertmanagers.alert({"alertname": "A", "team": "x"}), alertmanagers.alert({"alertname": "quiet"}),
                           alertmanagers.alert({"alertname": "down", "job": "j"}),
                           alertmanagers.alert({"alertname": "info", "job": "j", "severity": "info"})])
    harness.wait_until("two notifications", lambda: len(of_kind(world, "notification")) == 2)
    harness.wait_until("what is held back", lambda: of_kind(world, "silenceMutedAlert") and of_kind(world, "inhibitionMutedAlert"))
    server.send("alerts", [alertmanagers.alert({"alertname": "A", "team": "x"}, ends=alertmanagers.stamp(-1),
                                               starts=alertmanagers.stamp(-60))])
    resolved = harness.wait_until("the end", lambda: of_kind(world, "alertResolved"))[0]
    page = server.get("/metrics").text
    server.expire(silence)
    assert server.stop() == 0

    assert {e["instance"] for e in events(world)} == {"me"} and all("@timestamp" in e for e in events(world))
    assert "alertmanagerStartupEvent" in events(world)[0]["data"]
    assert events(world)[-1]["data"] == {"alertmanagerShutdownEvent": {}}
    assert sorted(e["alert"]["name"] for e in of_kind(world, "alertCreated")) == ["A", "down", "info", "quiet"]
    assert of_kind(world, "silenceCreated")[0]["silence"]["comment"] == "why"
    assert len(of_kind(world, "silenceUpdated")) == 1
    assert of_kind(world, "silenceMutedAlert")[0]["silence"]["id"] == silence
    assert of_kind(world, "inhibitionMutedAlert")[0]["inhibitRules"][0]["equalLabels"] == ["job"]
    told = next(n for n in of_kind(world, "notification") if n["groupInfo"]["groupLabels"]["labels"][0]["value"] == "A")
    assert told["reason"] == "NOTIFY_REASON_FIRST_NOTIFICATION" and told["repeatInterval"] == "3600s"
    assert told["groupInfo"]["matchers"][0]["rendered"] == 'team="x"' and told["integration"] == {"name": "webhook"}
    assert len(told["alerts"]) == len(told["firingAlerts"]) == 1 and "mutedAlerts" not in told
    assert resolved["alert"]["details"]["resolved"] and resolved["groupInfo"]["groupUuid"] == told["groupInfo"]["groupUuid"]
    assert 'alertmanager_events_recorded_total{event_type="alert_created",output="stdout",result="success"} 4' in page
    assert '"alertCreated"' in server.log_tail(1000)


def test_outputs_that_are_not_here_are_refused_and_the_feature_is_needed(world, listener):
    kafka = CONFIG % listener.url + "  kafka_outputs: [{brokers: [b], topic: t}]\n"
    path = world.write_file("k.yml", kafka)
    run = subprocess.run([str(world.binary), "alertmanager", f"--config.file={path}", "--enable-feature=event-recorder",
                          f"--storage.path={world.directory / 'k'}", "--web.listen-address=127.0.0.1:0"],
                         capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 1 and "kafka_outputs is not part of this version" in run.stderr

    server = alertmanagers.start(world, CONFIG % listener.url)
    server.send("alerts", [alertmanagers.alert({"alertname": "A"})])
    harness.wait_until("a notification", lambda: listener.messages("/hook"))
    assert events(world) == []
