# SPDX-License-Identifier: Apache-2.0
"""`tracing` of the Alertmanager: requests, flushes and notifications as spans, and traceparent for receivers."""
import alertmanagers
import harness
import test_tracing
from test_alertmanager_timelines import listener  # noqa: F401  (a fixture)
from test_tracing import receiver  # noqa: F401  (a fixture)

CONFIG = """\
route: {receiver: r, group_by: [alertname], group_wait: 100ms, group_interval: 300ms, repeat_interval: 1h}
receivers:
- name: r
  webhook_configs: [{url: '%s/r'}]
inhibit_rules:
- {name: down, source_matchers: [alertname="Down"], target_matchers: [i="4"]}
"""
KEY = '{}:{alertname="A"}'


class Tree:
    """All spans, and which one stands below which."""

    def __init__(self, receiver):
        self.spans = {s.id: s for s in receiver.spans}

    def named(self, name):
        return sorted((s for s in self.spans.values() if s.name == name), key=lambda s: s.start)

    def path(self, span):
        """Names from the outermost one that is ours."""
        names = []
        while span:
            names.insert(0, span.name)
            span = self.spans.get(span.parent)
        return names

    def below(self, span):
        return sorted((s for s in self.spans.values() if s.parent == span.id), key=lambda s: s.start)


def test_an_alert_is_traced_from_the_request_to_the_receiver(world, receiver, listener):  # noqa: F811
    """Names, attributes, events and parents as in the original: each stage stands below the one before it."""
    listener.failing["/r"] = 1
    server = alertmanagers.start(world, CONFIG % listener.url + test_tracing.config(receiver, "http"))
    caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = b'[{"labels": {"alertname": "A"}}, {"labels": {"alertname": "A", "i": "2"}}]'
    assert server.post("/api/v2/alerts", body, {"Content-Type": "application/json", "traceparent": caller}).status == 200
    harness.wait_until("a notification", lambda: listener.messages("/r"))
    harness.wait_until("the log", lambda: len(server.get("/metrics").text.split("narthex_alertmanager_nflog_entries 1")) == 2)
    assert server.stop() == 0
    tree = Tree(receiver)

    put, = tree.named("provider.mem.Put")
    post = tree.spans[put.parent]
    assert put.trace == "0af7651916cd43dd8448eb211c80319c" and put.attributes == {"alerting.alerts.count": 2}
    assert post.name == "api.postAlertsHandler" and [s.name for s in tree.below(post)] == ["OpenAPIAlertsToAlerts", "provider.mem.Put"]
    server_span = tree.spans[post.parent]
    assert server_span.parent == "b7ad6b7169203331" and server_span.resource["service.name"] == "alertmanager"
    assert [s.name for s in tree.below(put)] == ["inhibit.Inhibitor.processAlert", "dispatch.Dispatcher.routeAlert"] * 2
    alert = {"alerting.alert.name": "A", "alerting.alert.fingerprint": "%016x" % fingerprint({"alertname": "A"})}
    process, route = tree.below(put)[:2]
    assert process.attributes == route.attributes == alert
    assert route.events == [("dispatching alert to route", {"alerting.route.receiver.name": "r"})]
    group, insert = tree.below(route)
    assert group.name == "dispatch.Dispatcher.groupAlert" and group.attributes == alert | {"alerting.route.receiver.name": "r"}
    assert group.events[0] == ("new AggregationGroup created", {"alerting.aggregation_group.key": KEY, "alerting.aggregation_group.count": 1})
    assert insert.name == "dispatch.AggregationGroup.insert" and insert.attributes == alert | {"alerting.aggregation_group.key": KEY}

    flush = next(s for s in tree.named("dispatch.AggregationGroup.flush"))
    assert flush.parent == "" and flush.attributes == {"alerting.aggregation_group.key": KEY, "alerting.alerts.count": 2}
    written = next(s for s in tree.named("notify.SetNotifiesStage.Exec") if s.trace == flush.trace)
    assert tree.path(written) == ["dispatch.AggregationGroup.flush", "notify.RoutingStage.Exec", "notify.MuteStage.Exec", "notify.TimeActiveStage.Exec",
                                  "notify.TimeMuteStage.Exec", "notify.MuteStage.Exec", "notify.DedupStage.Exec", "notify.RetryStage.Exec",
                                  "notify.SetNotifiesStage.Exec"]
    assert written.attributes == {"alerting.group.key": KEY, "alerting.alerts.count": 2, "alerting.alerts.firing.count": 2,
                                  "alerting.alerts.resolved.count": 0}
    stages, at = [], written
    while at.parent in tree.spans:
        at = tree.spans[at.parent]
        stages.insert(0, at)
    _, routing, inhibits, active, mutes, silences, dedup, retry = stages
    assert routing.attributes == {"alerting.notify.receiver.name": "r", "alerting.alerts.count": 2}
    assert inhibits.attributes == silences.attributes == {"alerting.alerts.count": 2}
    assert active.attributes == {"alerting.alerts.count": 2, "alerting.route.id": "{}"}
    assert mutes.attributes == {"alerting.alerts.count": 2, "alerting.route.id": "{}", "alerting.group.key": KEY}
    assert dedup.attributes == {"alerting.group.key": KEY, "alerting.alerts.count": 2}
    assert [name for name, _ in dedup.events] == ["notify.DedupStage.Exec nflog needs update"]
    assert retry.attributes == {"alerting.group.name": "r", "alerting.integration.name": "webhook", "alerting.label.values": ["webhook"],
                                "alerting.alerts.count": 2}
    assert retry.status[0] == 0
    each = [s for s in tree.below(inhibits) if s.name != active.name]
    assert [(s.name, s.events) for s in each] == [("inhibit.Inhibitor.Mutes", [("alert not inhibited", {})])] * 2
    each = [s for s in tree.below(silences) if s.name != dedup.name]
    assert [s.name for s in each] == ["silence.Silencer.Mutes"] * 2 and each[0].events == [("No silences to match", {"alerting.silences.count": 0})]
    assert each[0].attributes == {"alerting.alert.fingerprint": alert["alerting.alert.fingerprint"]}

    failed, told = [s for s in tree.below(retry) if s.name == "notify.Integration.Notify"]
    assert failed.kind == told.kind == 3
    assert failed.status[0] == 2 and "503" in failed.status[1] and failed.attributes["alerting.notify.error.recoverable"] is True
    assert failed.events[0][0] == "exception"
    assert told.status[0] == 0 and told.attributes == {"alerting.notify.integration.name": "webhook", "alerting.alerts.count": 2,
                                                       "alerting.notify.error.recoverable": False}
    # What the receiver saw is the client's span below the attempt.
    seen = listener.requests[0]["headers"]["traceparent"].split("-")
    assert seen[1] == flush.trace and tree.spans[seen[2]].parent == told.id


def fingerprint(labels):
    """FNV-1a, as the original's."""
    value = 14695981039346656037
    for byte in b"".join(k.encode() + b"\xff" + v.encode() + b"\xff" for k, v in sorted(labels.items())):
        value = (value ^ byte) * 1099511628211 % 2 ** 64
    return value


def test_what_holds_alerts_back_is_told_by_its_stage(world, receiver, listener):  # noqa: F811
    server = alertmanagers.start(world, CONFIG % listener.url + test_tracing.config(receiver, "http"))
    server.silence({"i": "2"})
    server.send("alerts", [alertmanagers.alert({"alertname": "Down"})])
    server.send("alerts", [alertmanagers.alert({"alertname": "A", "i": str(i)}) for i in (2, 3, 4)])
    harness.wait_until("a notification", lambda: len(listener.messages("/r")) == 2)
    quiet = server.silence({"i": "3"})
    server.send("alerts", [alertmanagers.alert({"alertname": "A", "i": "3"})])
    assert len(server.v2("alerts")) == 4
    server.expire(quiet)
    server.v2("silences")
    assert server.stop() == 0
    tree = Tree(receiver)

    muted = {s.attributes["alerting.suppressed.reason"]: s for s in reversed(tree.named("notify.MuteStage.Exec"))
             if "alerting.suppressed.reason" in s.attributes and s.attributes["alerting.alerts.count"] > 1}
    assert set(muted) == {"inhibition", "silence"}
    assert muted["inhibition"].attributes == {"alerting.alerts.count": 3, "alerting.alerts.muted.count": 1, "alerting.alerts.filtered.count": 2,
                                              "alerting.suppressed.reason": "inhibition"}
    assert muted["silence"].attributes["alerting.alerts.muted.count"] == 1
    source = "%016x" % fingerprint({"alertname": "Down"})
    assert [("alert matched rule target", {"alerting.inhibit_rule.name": "down"}),
            ("alert inhibited", {"alerting.inhibit_rule.source.fingerprint": source})] in [s.events for s in tree.below(muted["inhibition"])]
    process = next(s for s in tree.named("inhibit.Inhibitor.processAlert") if s.attributes["alerting.alert.fingerprint"] == source)
    assert process.attributes["alerting.inhibit_rule.name"] == "down" and process.events[0][0] == "alert matched rule source"
    counts = {"alerting.silences.active.count": 1, "alerting.silences.pending.count": 0, "alerting.silences.total.count": 1}
    assert [("Silencer mutes alert", counts)] in [s.events for s in tree.below(muted["silence"])]

    looked, = tree.named("api.getAlertsHandler")
    filters = tree.below(looked)
    assert [s.name for s in filters] == ["alertFilter"] * 4
    assert [s.name for s in tree.below(filters[0])] == ["inhibit.Inhibitor.Mutes", "silence.Silencer.Mutes"]
    assert {tree.spans[s.parent].name for s in tree.named("silences.Set")} == {"api.postSilencesHandler"}
    expire, = tree.named("silences.Expire")
    assert expire.attributes == {"alerting.silence.id": quiet} and tree.spans[expire.parent].name == "api.deleteSilenceHandler"
    assert "api.getSilencesHandler" in {tree.spans[s.parent].name for s in tree.named("silence.Silences.Query")}


def test_a_reload_turns_it_on_and_faults_have_a_place(world, receiver, listener):  # noqa: F811
    server = alertmanagers.start(world, CONFIG % listener.url)
    server.send("alerts", [alertmanagers.alert({"alertname": "A"})])
    harness.wait_until("a notification", lambda: listener.messages("/r"))
    assert "traceparent" not in listener.requests[0]["headers"]
    server.config_path.write_text(CONFIG % listener.url + test_tracing.config(receiver, "grpc", "  headers: {x-token: secret}\n"))
    assert server.reload().status == 200
    server.send("alerts", [alertmanagers.alert({"alertname": "B"})])
    harness.wait_until("another one", lambda: len(listener.messages("/r")) == 2)
    assert "traceparent" in listener.requests[1]["headers"]
    server.config_path.write_text(CONFIG % listener.url + "tracing: {client_type: http}\n")
    reply = server.reload()
    assert reply.status == 500 and "endpoint" in reply.text
    assert server.stop() == 0
    harness.wait_until("spans", lambda: receiver.named("dispatch.AggregationGroup.flush"))
    assert receiver.headers[0]["x-token"] == "secret"
