# SPDX-License-Identifier: Apache-2.0
"""The event recorder: what happened to alerts and silences, line by line."""
import collections
import datetime
import json
import ssl
import subprocess

import pytest

import alertmanagers
import harness
import kafka_mock
import tls_front
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


def recording(config, outputs):
    return config[:config.index("event_recorder:")] + "event_recorder:\n" + outputs


def start(world, listener, outputs):
    return alertmanagers.start(world, recording(CONFIG % listener.url, outputs), "--enable-feature=event-recorder", "--cluster.peer-name=me")


def kinds(documents):
    return [next(iter(d["data"])) for d in documents]


def posted(listener, path):
    with listener.lock:
        return [json.loads(r["body"]) for r in listener.requests if r["path"] == path]


def test_web_servers_are_posted_to_one_by_one_or_in_batches(world, listener):
    outputs = (f"  webhook_outputs: [{{url: '{listener.url}/one?token=hidden'}}, {{url: '{listener.url}/many', batch: true, "
               "batch_flush_interval: 300ms, batch_max_events: 30}]\n")
    server = start(world, listener, outputs)
    server.send("alerts", [alertmanagers.alert({"alertname": f"A{i}"}) for i in range(50)])
    one = harness.wait_until("events one by one", lambda: len(posted(listener, "/one?token=hidden")) > 150 and posted(listener, "/one?token=hidden"))
    many = harness.wait_until("the same in batches", lambda: sum(map(len, posted(listener, "/many"))) == len(one) and posted(listener, "/many"))
    page = server.get("/metrics").text
    assert server.stop() == 0

    assert sorted(map(json.dumps, one)) == sorted(json.dumps(e) for batch in many for e in batch)
    assert max(map(len, many)) == 30 and len(many) < 30
    assert kinds(one).count("alertCreated") == 50 and kinds(one).count("notification") == 50
    assert kinds(posted(listener, "/many")[-1])[-1] == "alertmanagerShutdownEvent"
    assert f'output="webhook:{listener.url}/one",result="success"' in page and "hidden" not in page


def test_a_web_server_that_fails_is_tried_again_and_given_up(world, listener):
    listener.failing["/shaky"] = 2
    listener.failing["/dead"] = 1000
    server = start(world, listener, f"  webhook_outputs: [{{url: '{listener.url}/shaky', workers: 1, retry_backoff: 10ms}}, "
                                    f"{{url: '{listener.url}/dead', max_retries: 2, retry_backoff: 10ms}}]\n")
    harness.wait_until("the first event", lambda: posted(listener, "/shaky"))
    harness.wait_until("the other to be given up", lambda: "events could not be posted, skipping" in server.log_tail(1000))
    assert kinds(posted(listener, "/shaky")) == ["alertmanagerStartupEvent"]
    assert "events could not be posted, retrying" in server.log_tail(1000) and 'attempts=2' in server.log_tail(1000)
    assert server.stop() == 0
    assert posted(listener, "/dead") == [] and kinds(posted(listener, "/shaky"))[-1] == "alertmanagerShutdownEvent"


def test_a_reload_changes_outputs_and_loses_nothing(world, listener):
    server = start(world, listener, f"  webhook_outputs: [{{url: '{listener.url}/old'}}, {{url: '{listener.url}/stays'}}]\n")
    server.send("alerts", [alertmanagers.alert({"alertname": "before"})])
    server.config_path.write_text(recording(CONFIG % listener.url, f"  webhook_outputs: [{{url: '{listener.url}/stays'}}, "
                                                                   f"{{url: '{listener.url}/new'}}]\n"))
    assert server.post("/-/reload", b"").status == 200
    server.send("alerts", [alertmanagers.alert({"alertname": "after"})])
    harness.wait_until("the new one", lambda: "alertCreated" in kinds(posted(listener, "/new")))
    assert server.stop() == 0

    def created(path):
        return [e["data"]["alertCreated"]["alert"]["name"] for e in posted(listener, path) if "alertCreated" in e["data"]]
    assert created("/old") == ["before"] and created("/new") == ["after"] and sorted(created("/stays")) == ["after", "before"]
    assert "alertmanagerShutdownEvent" in kinds(posted(listener, "/new"))


def proto_fields(message):
    """Number to values."""
    found = collections.defaultdict(list)
    for number, value in harness.proto_fields(message):
        found[number].append(value)
    return found


def test_kafka_gets_json_or_protobuf(world, listener):
    brokers = [kafka_mock.Kafka("json"), kafka_mock.Kafka("proto")]
    try:
        server = start(world, listener, f"  kafka_outputs: [{{brokers: ['{brokers[0].brokers}'], topic: json, compression: gzip, acks: all}}, "
                                        f"{{brokers: ['{brokers[1].brokers}'], topic: proto, format: protobuf}}]\n")
        silence = server.silence({"alertname": "quiet"}, comment="why")
        server.send("alerts", [alertmanagers.alert({"alertname": "A", "team": "x"}), alertmanagers.alert({"alertname": "quiet"}),
                               alertmanagers.alert({"alertname": "down", "job": "j"}),
                               alertmanagers.alert({"alertname": "info", "job": "j", "severity": "info"})])

        def of(kind):
            return [e["data"][kind] for _, e in map(lambda m: (m[0], json.loads(m[1])), brokers[0].read()) if kind in e["data"]]
        harness.wait_until("notifications", lambda: len(of("notification")) == 2 and of("silenceMutedAlert") and of("inhibitionMutedAlert"))
        page = server.get("/metrics").text
        assert server.stop() == 0
        harness.wait_until("the last event", lambda: of("alertmanagerShutdownEvent"))
        told = brokers[0].messages
        as_proto = harness.wait_until("as many in protobuf", lambda: len(brokers[1].read()) == len(told) and brokers[1].messages)
    finally:
        for broker in brokers:
            broker.close()

    assert {key for key, _ in told} == {b"me"}
    assert f'output="kafka:{brokers[0].brokers}/json",result="success"' in page
    for (_, text), (_, message) in zip(told, as_proto):
        event, fields = json.loads(text), proto_fields(message)
        assert fields[2] == [b"me"] and len(fields[1]) == len(fields[3]) == 1
        (kind,), data = event["data"], proto_fields(fields[3][0])
        assert list(data) == [KINDS.index(kind) + 1]
        body = proto_fields(data[KINDS.index(kind) + 1][0])
        if kind == "alertCreated":
            alert, wanted = proto_fields(body[1][0]), event["data"][kind]["alert"]
            assert alert[1] == [int(wanted["fingerprint"])] and alert[2] == [wanted["name"].encode()]
            pairs = [proto_fields(p) for p in proto_fields(alert[3][0])[1]]
            assert [(p[1][0].decode(), p[2][0].decode()) for p in pairs] == [(p["key"], p["value"]) for p in wanted["labels"]["labels"]]
            seconds = datetime.datetime.fromisoformat(wanted["startsAt"][:19] + "+00:00").timestamp()
            assert proto_fields(alert[5][0])[1] == [seconds]
        elif kind == "notification":
            assert body[7] == [1] and proto_fields(body[6][0])[1] == [3600] and body[8] == [1]
            assert proto_fields(body[9][0])[1] == [b"webhook"]
        elif kind == "silenceCreated":
            assert proto_fields(body[1][0])[1] == [silence.encode()] and proto_fields(body[1][0])[8] == [b"why"]
        elif kind == "inhibitionMutedAlert":
            packed = body[3][0]
            assert proto_fields(b"\x08" + packed)[1] == [int(event["data"][kind]["inhibitingFingerprints"][0])]


KINDS = ["alertmanagerStartupEvent", "alertmanagerShutdownEvent", "alertCreated", "alertResolved", "alertGrouped", "notification",
         "silenceCreated", "silenceUpdated", "silenceMutedAlert", "inhibitionMutedAlert"]


def test_a_broker_that_is_away_does_not_hold_up_alerts_nor_the_end(world, listener):
    server = start(world, listener, f"  kafka_outputs: [{{brokers: ['127.0.0.1:{harness.free_port()}'], topic: t, buffer_size: 20}}]\n")
    server.send("alerts", [alertmanagers.alert({"alertname": f"A{i}"}) for i in range(30)])
    harness.wait_until("notifications", lambda: len(listener.messages("/hook")) == 30)
    harness.wait_until("events to be dropped", lambda: "alertmanager_event_output_drops_total{" in server.get("/metrics").text)
    harness.wait_until("a word of it", lambda: "Kafka is not well, retrying" in server.log_tail(3000))
    assert server.stop() == 0
    assert "events did not reach Kafka before the end" in server.log_tail(3000)
    assert server.log_tail(3000).count("Kafka is not well") == 1


@pytest.mark.parametrize("san, server_name, sent", [
    ("DNS:kafka.example", "kafka.example", "kafka.example"),
    ("IP:192.0.2.7", "192.0.2.7", None),
])
def test_kafka_s_certificate_must_have_the_server_name(world, listener, san, server_name, sent):
    """The broker is met at 127.0.0.1, which stands in no certificate."""
    cert, key = tls_front.certificate(world.directory, "broker", san)
    kafka = kafka_mock.Kafka("t")
    tls = tls_front.Tls(kafka.brokers, cert, key)
    try:
        output = f"{{brokers: ['{tls.address}'], topic: t, tls_config: {{ca_file: {cert}%s}}}}"
        server = start(world, listener, f"  kafka_outputs: [{output % f', server_name: {server_name}'}]\n")
        harness.wait_until("the first event", lambda: kafka.read())
        assert server.stop() == 0
        assert {name for name, _ in tls.met} == {sent}

        for other in ("", ", server_name: other.example", ", server_name: 192.0.2.8"):
            count = len(kafka.read())
            server = start(world, listener, f"  kafka_outputs: [{output % other}]\n")
            harness.wait_until("a refusal", lambda: "Kafka is not well" in server.log_tail(3000))
            assert server.stop() == 0
            assert len(kafka.read()) == count
    finally:
        tls.close()
        kafka.close()


@pytest.mark.parametrize("settings, server_maximum, version", [
    ("max_version: TLS12", None, "TLSv1.2"),
    ("min_version: TLS13", None, "TLSv1.3"),
    ("min_version: TLS12", ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
    ("min_version: TLS13", ssl.TLSVersion.TLSv1_2, None),
    ("min_version: TLS12, max_version: TLS12", None, "TLSv1.2"),
])
def test_versions_of_tls_towards_kafka_can_be_chosen(world, listener, settings, server_maximum, version):
    cert, key = tls_front.certificate(world.directory, "broker", "DNS:kafka.example")
    kafka = kafka_mock.Kafka("t")
    tls = tls_front.Tls(kafka.brokers, cert, key, server_maximum)
    try:
        server = start(world, listener, f"  kafka_outputs: [{{brokers: ['{tls.address}'], topic: t, tls_config: "
                                        f"{{ca_file: {cert}, server_name: kafka.example, {settings}}}}}]\n")
        if version:
            harness.wait_until("the first event", lambda: kafka.read())
        else:
            harness.wait_until("a refusal", lambda: "Kafka is not well" in server.log_tail(3000))
        assert server.stop() == 0
        assert {v for _, v in tls.met} == ({version} if version else set())
    finally:
        tls.close()
        kafka.close()


@pytest.mark.parametrize("outputs, words", [
    ("webhook_outputs: [{}]", "webhook output requires a url"),
    ("webhook_outputs: [{url: 'ftp://x'}]", "unsupported scheme"),
    ("webhook_outputs: [{url: 'http://x', batch_max_events: 1}]", "batch settings require batch: true"),
    ("webhook_outputs: [{url: 'http://x', workers: 1000}]", "workers"),
    ("kafka_outputs: [{topic: t}]", "at least one broker is required"),
    ("kafka_outputs: [{brokers: [''], topic: t}]", "broker entries must be non-empty"),
    ("kafka_outputs: [{brokers: [b]}]", "kafka output requires a topic"),
    ("kafka_outputs: [{brokers: [b], topic: t, acks: some}]", "acks"),
    ("kafka_outputs: [{brokers: [b], topic: t, format: xml}]", "format"),
    (f"kafka_outputs: [{{brokers: [b], topic: t, tls_config: {{server_name: {'a' * 256}}}}}]", "server_name has more than 255 bytes"),
    ("file_outputs: [{}]", "file output requires a path"),
    ("file_outputs: [{path: a, more: b}]", "more"),
    ("other_outputs: []", "other_outputs"),
])
def test_faults_of_outputs_have_a_place(world, listener, outputs, words):
    path = world.write_file("bad.yml", recording(CONFIG % listener.url, f"  {outputs}\n"))
    run = subprocess.run([str(world.binary), "alertmanager", f"--config.file={path}", "--enable-feature=event-recorder",
                          f"--storage.path={world.directory / 'k'}", "--web.listen-address=127.0.0.1:0"],
                         capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 1 and words in run.stderr and "bad.yml:" in run.stderr, run.stderr


def test_the_feature_is_needed_and_secrets_are_not_shown(world, listener):
    server = alertmanagers.start(world, CONFIG % listener.url + "  webhook_outputs: [{url: 'http://127.0.0.1:1/?token=hidden'}]\n")
    server.send("alerts", [alertmanagers.alert({"alertname": "A"})])
    harness.wait_until("a notification", lambda: listener.messages("/hook"))
    assert events(world) == []
    shown = server.v2("status")["config"]["original"]
    assert "webhook_outputs:" in shown and "hidden" not in shown
