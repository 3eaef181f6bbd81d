# SPDX-License-Identifier: Apache-2.0
"""Timelines played into the original and into narthex at the same time: both must notify the same, in the same order.

All timelines run at once, each behind a route of its own that matches its label `tl`. Times are in units, those that are written
as seconds too: group_wait 1, group_interval 2 unless a timeline says otherwise. Deeds fall between the ticks of groups, most of
them by half a unit or more, and a unit is long: a machine that is slow or busy for a second changes nothing.
"""
import itertools
import json
import re
import threading
import time

import pytest

import alertmanagers
import harness

UNIT_S = 3.0


def fire(at, name="A", **labels):
    return at, "fire", dict(alertname=name, **labels)


def resolve(at, name="A", **labels):
    return at, "resolve", dict(alertname=name, **labels)


def silence(at, seconds=600, start=0, **matchers):
    return at, "silence", (matchers, seconds, start)


def unsilence(at):
    return at, "unsilence", None


# name: (route settings, more configuration, deeds)
TIMELINES = {
    # grouping
    "one alert": ({}, {}, [fire(0)]),
    "two in one group": ({}, {}, [fire(0, i="1"), fire(0.3, i="2")]),
    "second comes later": ({}, {}, [fire(0, i="1"), fire(1.8, i="2")]),
    "three waves": ({}, {}, [fire(0, i="1"), fire(1.8, i="2"), fire(3.8, i="3")]),
    "group by label": ({"group_by": ["g"]}, {}, [fire(0, g="x"), fire(0, g="y")]),
    "group by missing label": ({"group_by": ["nope"]}, {}, [fire(0, g="x"), fire(0, g="y")]),
    "group by all": ({"group_by": ["..."]}, {}, [fire(0, g="x"), fire(0, g="y")]),
    "group by two": ({"group_by": ["g", "h"]}, {}, [fire(0, g="x", h="1"), fire(0, g="x", h="2"), fire(0.3, g="x", h="1", k="z")]),
    "long wait": ({"group_wait": "3s"}, {}, [fire(0, i="1"), fire(2, i="2")]),
    "no wait": ({"group_wait": "0s"}, {}, [fire(0, i="1"), fire(1, i="2")]),
    "many alerts": ({}, {}, [fire(0, i=str(n)) for n in range(30)]),
    "order by job and instance": ({}, {}, [fire(0, job="b", instance="1"), fire(0, job="a", instance="2"), fire(0, job="a", instance="1"), fire(0, z="1")]),
    "order by labels that the other lacks": ({}, {}, [fire(0, a="1"), fire(0, z="1"), fire(0, m="1"), fire(0, a="1", b="2"), fire(0, a="1", z="0")]),
    # resolving
    "resolved": ({}, {}, [fire(0), resolve(1.8)]),
    "resolved before it was told": ({}, {}, [fire(0), resolve(0.5)]),
    "one of two resolved": ({}, {}, [fire(0, i="1"), fire(0, i="2"), resolve(1.8, i="1")]),
    "both resolved one by one": ({}, {}, [fire(0, i="1"), fire(0, i="2"), resolve(1.8, i="1"), resolve(3.8, i="2")]),
    "both resolved at once": ({}, {}, [fire(0, i="1"), fire(0, i="2"), resolve(1.8, i="1"), resolve(1.8, i="2")]),
    "resolved and new": ({}, {}, [fire(0, i="1"), resolve(1.8, i="1"), fire(1.8, i="2")]),
    "resolved not sent": ({"send_resolved": False}, {}, [fire(0), resolve(1.8)]),
    "resolved not sent, one of two": ({"send_resolved": False}, {}, [fire(0, i="1"), fire(0, i="2"), resolve(1.8, i="1")]),
    "resolved not sent, then again": ({"send_resolved": False}, {}, [fire(0), resolve(1.8), fire(4.3)]),
    "never fired": ({}, {}, [resolve(0)]),
    "resolved twice": ({}, {}, [fire(0), resolve(1.8), resolve(4.3)]),
    # flapping
    "flaps within an interval": ({}, {}, [fire(0), resolve(1.6), fire(2.2)]),
    "flaps over intervals": ({}, {}, [fire(0), resolve(1.8), fire(4.3), resolve(6.3)]),
    "flaps before it was told": ({}, {}, [fire(0), resolve(0.3), fire(0.6)]),
    "one flaps, one stands": ({}, {}, [fire(0, i="1"), fire(0, i="2"), resolve(1.8, i="1"), fire(3.8, i="1")]),
    "refired after the group was gone": ({}, {}, [fire(0), resolve(1.8), fire(6)]),
    # repeating
    "repeat": ({"repeat_interval": "3s"}, {}, [fire(0)]),
    # As often as the interval would be a race with the sending, in the original as well.
    "repeat a little less often than the interval": ({"repeat_interval": "2500ms"}, {}, [fire(0)]),
    "repeat less than the interval": ({"repeat_interval": "1s"}, {}, [fire(0)]),
    "repeat counts from the last change": ({"repeat_interval": "4500ms"}, {}, [fire(0, i="1"), fire(3.8, i="2")]),
    "no repeat of what is resolved": ({"repeat_interval": "3s"}, {}, [fire(0), resolve(1.8)]),
    "repeat without what is resolved": ({"repeat_interval": "3s", "send_resolved": False}, {}, [fire(0, i="1"), fire(0, i="2"), resolve(1.8, i="1")]),
    # updates of what stands
    "annotation changes": ({}, {}, [fire(0), (1.8, "annotate", {"alertname": "A"})]),
    "annotation changes, repeat": ({"repeat_interval": "3s"}, {}, [fire(0), (1.8, "annotate", {"alertname": "A"})]),
    "sent again and again": ({}, {}, [fire(0), fire(0.5), fire(1.5), fire(2.5), fire(3.5)]),
    # inhibition
    "inhibited": ({}, {"inhibit": {}}, [fire(0, sev="crit"), fire(0.2, name="B", sev="warn")]),
    "inhibited by what comes later": ({}, {"inhibit": {}}, [fire(0, name="B", sev="warn"), fire(1.8, sev="crit")]),
    "no longer inhibited": ({}, {"inhibit": {}}, [fire(0, sev="crit"), fire(0.2, name="B", sev="warn"), resolve(1.8, sev="crit")]),
    "inhibited where labels are equal": ({}, {"inhibit": {"equal": ["c"]}}, [fire(0, sev="crit", c="1"), fire(0, name="B", sev="warn", c="1"), fire(0, name="B", sev="warn", c="2")]),
    "inhibited where labels are missing": ({}, {"inhibit": {"equal": ["nope"]}}, [fire(0, sev="crit"), fire(0, name="B", sev="warn")]),
    "does not inhibit itself": ({}, {"inhibit": {"target": "sev=~\"crit|warn\""}}, [fire(0, sev="crit"), fire(0, name="B", sev="warn")]),
    "inhibited in a group of its own": ({"group_by": ["alertname"]}, {"inhibit": {}}, [fire(0, sev="crit"), fire(0, name="B", sev="warn")]),
    "silenced source still inhibits": ({}, {"inhibit": {}}, [silence(0, sev="crit"), fire(0.2, sev="crit"), fire(0.3, name="B", sev="warn")]),
    "resolved while inhibited": ({}, {"inhibit": {}}, [fire(0, name="B", sev="warn"), fire(1.8, sev="crit"), resolve(2.2, name="B", sev="warn")]),
    # silences
    "silenced": ({}, {}, [silence(0, alertname="A"), fire(0.3)]),
    "one of two silenced": ({}, {}, [silence(0, i="1"), fire(0.3, i="1"), fire(0.3, i="2")]),
    "silence expires in flight": ({}, {}, [silence(0, alertname="A"), fire(0.3), unsilence(2)]),
    "silence comes in flight": ({}, {}, [fire(0), silence(1.8, alertname="A"), resolve(2)]),
    "silence ends by itself": ({}, {}, [silence(0, seconds=2, alertname="A"), fire(0.3)]),
    "silence begins later": ({"repeat_interval": "1500ms"}, {}, [silence(0, start=2, alertname="A"), fire(0.3)]),
    "silence of another": ({}, {}, [silence(0, alertname="B"), fire(0.3)]),
    "silence and repeat": ({"repeat_interval": "3s"}, {}, [fire(0), silence(1.8, alertname="A"), unsilence(5.8)]),
    "silenced after it was told, new one comes": ({}, {}, [fire(0, i="1"), silence(1.8, i="1"), fire(2, i="2")]),
    "resolved while silenced, silence ends": ({}, {}, [fire(0), silence(1.8, alertname="A"), resolve(2), unsilence(4)]),
    # time intervals
    "muted always": ({}, {"mute": "always"}, [fire(0)]),
    "muted never": ({}, {"mute": "never"}, [fire(0)]),
    "active always": ({}, {"active": "always"}, [fire(0)]),
    "active never": ({}, {"active": "never"}, [fire(0), resolve(2)]),
    # the tree
    "two receivers by continue": ({}, {"routes": ["{matchers: ['TL', 's=\"x\"'], receiver: 'R', continue: true}"]}, [fire(0, s="x"), fire(0, s="y")]),
    "a child takes it": ({}, {"children": ["{matchers: ['s=\"x\"'], group_by: [k]}"]}, [fire(0, s="x", k="1"), fire(0, s="x", k="2"), fire(0, s="y")]),
    "a child with its own times": ({}, {"children": ["{matchers: ['s=\"x\"'], group_wait: 2s}"]}, [fire(0, s="x"), fire(1.5, s="x", i="2")]),
    "children go on": ({}, {"children": ["{matchers: ['s=~\"x|y\"'], continue: true}", "{matchers: ['s=\"x\"']}"]}, [fire(0, s="x"), fire(0, s="y")]),
    # receivers that fail
    "fails once": ({}, {"fail": 1}, [fire(0)]),
    "fails twice, meanwhile another": ({}, {"fail": 2}, [fire(0, i="1"), fire(1.8, i="2")]),
    # max_alerts
    "cut": ({"max_alerts": 2}, {}, [fire(0, i=str(n)) for n in range(5)]),
}

# Played while both are reloaded and restarted: what a restart forgets, as both forget alerts, is sent again.
RELOAD_AT, RESTART_AT, AGAIN_AT = 2.4, 6.2, 8.6
OVER_RESTARTS = {
    "stands": ({}, {}, [fire(0), fire(AGAIN_AT)]),
    "another joins before the reload": ({}, {}, [fire(0, i="1"), fire(1.8, i="2"), fire(AGAIN_AT, i="1"), fire(AGAIN_AT, i="2")]),
    "another joins after the restart": ({}, {}, [fire(0, i="1"), fire(AGAIN_AT, i="1"), fire(AGAIN_AT + 0.4, i="2")]),
    "resolved, and not told before the reload": ({}, {}, [fire(0), resolve(1.8)]),
    "resolved after the reload": ({}, {}, [fire(0), resolve(3.2)]),
    "resolved, and again after the restart": ({}, {}, [fire(0), resolve(3.2), fire(AGAIN_AT)]),
    "gone with the restart, resolved later": ({}, {}, [fire(0), resolve(AGAIN_AT)]),
    "waits over the reload": ({"group_wait": "2500ms"}, {}, [fire(1.4), fire(AGAIN_AT)]),
    "waits over the restart": ({"group_wait": "3s"}, {}, [fire(5), fire(AGAIN_AT)]),
    "silenced over both": ({}, {}, [silence(0, alertname="A"), fire(0.3), fire(AGAIN_AT)]),
    "the silence ends after the restart": ({}, {}, [silence(0, alertname="A"), fire(0.3), fire(AGAIN_AT), unsilence(AGAIN_AT + 0.7)]),
    "the silence ends while it is down": ({}, {}, [silence(0, seconds=7, alertname="A"), fire(0.3), fire(AGAIN_AT)]),
    # An older original's groups may come back from a reload before its inhibition has seen the alerts: then it tells B.
    "inhibited over both": ({}, {"inhibit": {}, "original_may_tell": "B"}, [
        fire(0, sev="crit"), fire(0.2, name="B", sev="warn"), fire(AGAIN_AT, sev="crit"), fire(AGAIN_AT + 0.2, name="B", sev="warn")]),
    "repeats over both": ({"repeat_interval": "5s"}, {}, [fire(0), fire(AGAIN_AT)]),
    "muted over both": ({}, {"mute": "always"}, [fire(0), fire(AGAIN_AT)]),
    "two receivers": ({}, {"routes": ["{matchers: ['TL', 's=\"x\"'], receiver: 'R', continue: true}"]}, [fire(0, s="x"), fire(AGAIN_AT, s="x")]),
}


def in_units(text):
    """The durations in a configuration, of which each second stands for a unit."""
    return re.sub(r"\b(\d+)(m?s)\b", lambda found: f"{int(found[1]) * int(UNIT_S * (1 if found[2] == 'ms' else 1000))}ms", text)


def configuration(timelines, url):
    receivers, routes, rules = ["- name: none"], [], []
    for number, (settings, more, _) in enumerate(timelines.values()):
        tag = f"t{number:02d}"
        settings = {"group_wait": "1s", "group_interval": "2s", "repeat_interval": "1h", "group_by": [], **settings}
        hook = {"url": f"{url}/{tag}", "send_resolved": settings.pop("send_resolved", True),
                "max_alerts": settings.pop("max_alerts", 0)}
        receivers.append(f"- name: {tag}\n  webhook_configs: [{json.dumps(hook)}]")
        for extra in more.get("routes", []):
            routes.append("  - " + extra.replace("TL", f'tl="{tag}"').replace("'R'", tag)[:-1] +
                          ", group_wait: 1s, group_interval: 2s, group_by: []}")
        route = {"receiver": tag, "matchers": [f'tl="{tag}"'], **settings}
        if "mute" in more:
            route["mute_time_intervals"] = [more["mute"]]
        if "active" in more:
            route["active_time_intervals"] = [more["active"]]
        text = json.dumps(route)
        if "children" in more:
            text = text[:-1] + ', "routes": [' + ", ".join(more["children"]) + "]}"
        routes.append("  - " + text)
        if "inhibit" in more:
            target = more["inhibit"].get("target", 'sev="warn"')
            rules.append("- " + json.dumps({
                "source_matchers": [f'tl="{tag}"', 'sev="crit"'], "target_matchers": [f'tl="{tag}"', target],
                "equal": more["inhibit"].get("equal", [])}))
    routes = [in_units(route) for route in routes]
    return "\n".join(["route:", "  receiver: none", "  routes:", *routes, "inhibit_rules:", *rules, "receivers:",
                      *receivers, "time_intervals:", "- name: always", "  time_intervals: [{}]", "- name: never",
                      "  time_intervals: [{years: ['1990']}]"]) + "\n"


class Player:
    """Does each timeline's deeds at their time, through the API; and those to the whole server.

    The alerts of one time go in one request, and silences, which the server brings to the disk, hold nobody else up.
    """

    def __init__(self, server, problems):
        self.server, self.problems = server, problems
        self.silences, self.begun, self.threads = {}, {}, {}

    def alert(self, number, verb, what):
        labels = dict(what, tl=f"t{number:02d}")
        key = harness.series_key(labels)
        if verb == "fire" and (key not in self.begun or self.begun[key][1]):
            self.begun[key] = (alertmanagers.stamp(), False)
        begun = self.begun.get(key, (alertmanagers.stamp(-60), False))[0]
        if verb == "resolve":
            self.begun[key] = (begun, True)
        ends = alertmanagers.stamp() if verb == "resolve" else None
        return alertmanagers.alert(labels, {"n": verb}, begun, ends)

    def silence(self, number, verb, what, before):
        try:
            if before:
                before.join()
            if verb == "unsilence":
                self.server.expire(self.silences[number])
                return
            matchers, seconds, start = what
            self.silences[number] = self.server.silence(dict(matchers, tl=f"t{number:02d}"), seconds * UNIT_S, start * UNIT_S)
        except Exception as problem:  # told by the test's own thread
            self.problems.append(problem)

    def wait(self):
        for thread in self.threads.values():
            thread.join()

    def do(self, deeds):
        alerts = []
        for number, verb, what in deeds:
            if verb in ("silence", "unsilence"):
                thread = threading.Thread(target=self.silence, args=(number, verb, what, self.threads.get(number)))
                self.threads[number] = thread
                thread.start()
            elif verb == "reload":
                self.wait()
                assert self.server.reload().status == 200
            elif verb == "restart":
                self.wait()
                self.server.stop()
                self.server.start()
            else:
                alerts.append(self.alert(number, verb, what))
        if alerts:
            self.server.send("alerts", alerts)

    def play(self, timelines, begin, to_all):
        deeds = sorted([(at, number, verb, what) for number, (_, _, rows) in enumerate(timelines.values()) for at, verb, what in rows] +
                       [(at, -1, verb, None) for at, verb in to_all], key=lambda deed: deed[:2])
        try:
            for at, rows in itertools.groupby(deeds, key=lambda deed: deed[0]):
                time.sleep(max(0.0, begin + at * UNIT_S - time.monotonic()))
                self.do([row[1:] for row in rows])
            self.wait()
        except Exception as problem:  # told by the test's own thread
            self.problems.append(problem)


def told(listener, number):
    """What a timeline's receiver was told, without times."""
    rows = []
    for message in listener.messages(f"/t{number:02d}"):
        alerts = [(a["status"], tuple(sorted(a["labels"].items())), tuple(sorted(a["annotations"].items())))
                  for a in message["alerts"]]
        rows.append((message["receiver"], message["status"], message["groupKey"], message["truncatedAlerts"], alerts,
                     tuple(sorted(message["commonLabels"].items()))))
    return rows


def in_order(rows):
    """Groups go their own ways: the order counts within each."""
    return sorted(rows, key=lambda row: row[2])


def test_both_notify_the_same(world):
    assert len(TIMELINES) >= 60
    compare(world, TIMELINES)


def test_both_notify_the_same_over_reloads_and_restarts(world):
    compare(world, OVER_RESTARTS, [(RELOAD_AT, "reload"), (RESTART_AT, "restart")])


def compare(world, timelines, to_all=()):
    sides = []
    problems = []
    for is_original in (True, False):
        listener = alertmanagers.Listener()
        server = alertmanagers.start(world, configuration(timelines, listener.url), original=is_original)
        for number, (_, more, _) in enumerate(timelines.values()):
            listener.failing[f"/t{number:02d}"] = more.get("fail", 0)
        sides.append((server, listener))
    begin = time.monotonic() + 0.5
    players = [threading.Thread(target=Player(server, problems).play, args=(timelines, begin, to_all)) for server, _ in sides]
    for player in players:
        player.start()
    for player in players:
        player.join()
    assert not problems, problems
    time.sleep(max(0.0, begin + 12.4 * UNIT_S - time.monotonic()))

    differences = []
    for number, name in enumerate(timelines):
        theirs, ours = (in_order(told(listener, number)) for _, listener in sides)
        late = timelines[name][1].get("original_may_tell")
        theirs = [row for row in theirs if all(dict(labels)["alertname"] != late for _, labels, _ in row[4])]
        if theirs != ours:
            differences.append(f"{name} (t{number:02d}):\n  theirs:\n    " + "\n    ".join(map(str, theirs)) +
                               "\n  ours:\n    " + "\n    ".join(map(str, ours)))
    for server, listener in sides:
        server.stop()
        listener.close()
    assert not differences, f"{len(differences)} of {len(timelines)} differ\n" + "\n".join(differences)


def wait_messages(listener, count, prefix="/"):
    return harness.wait_until(f"{count} notifications", lambda: (lambda m: m if len(m) >= count else None)(
        listener.messages(prefix)))


def wait_logged(server, count):
    """Until the server has written down that it has told so much: what it was told to do in between it may do again."""
    harness.wait_until(f"{count} in the log", lambda: server.metric("narthex_alertmanager_nflog_entries") == count)


RESTART = """\
route: {receiver: r, group_by: [alertname], group_wait: 500ms, group_interval: 1s, repeat_interval: 1h}
receivers:
- name: r
  webhook_configs: [{url: "%s/r"}]
"""


@pytest.fixture
def listener():
    listener = alertmanagers.Listener()
    yield listener
    listener.close()


def test_kill_9_loses_neither_silences_nor_the_log(world, listener):
    server = alertmanagers.start(world, RESTART % listener.url, data="kept")
    server.send("alerts", [alertmanagers.alert({"alertname": "A"})])
    wait_messages(listener, 1)
    wait_logged(server, 1)
    silence_id = server.silence({"alertname": "B"})
    gone = server.silence({"alertname": "C"})
    server.expire(gone)
    # The entry of the log is written beside the loop: what has been answered before is written before.
    server.silence({"alertname": "D"})
    server.kill()

    server = alertmanagers.start(world, RESTART % listener.url, data="kept")
    states = {s["id"]: s["status"]["state"] for s in server.v2("silences")}
    assert states[silence_id] == "active" and states[gone] == "expired" and len(states) == 3
    server.send("alerts", [alertmanagers.alert({"alertname": name}) for name in "ABC"])
    wait_messages(listener, 2)
    time.sleep(2.5)
    assert [m["groupLabels"]["alertname"] for m in listener.messages()] == ["A", "C"]
    assert server.v2("alerts", filter='alertname="B"')[0]["status"]["silencedBy"] == [silence_id]


def test_reload_in_flight_notifies_nothing_twice(world, listener):
    server = alertmanagers.start(world, RESTART.replace("group_wait: 500ms", "group_wait: 3s") % listener.url)
    server.send("alerts", [alertmanagers.alert({"alertname": "A"})])
    wait_messages(listener, 1)
    wait_logged(server, 1)
    for _ in range(3):
        assert server.reload().status == 200
    server.send("alerts", [alertmanagers.alert({"alertname": "B"})])
    assert server.reload().status == 200
    wait_messages(listener, 2)
    time.sleep(2.2)
    assert [m["groupLabels"]["alertname"] for m in listener.messages()] == ["A", "B"]

    server.config_path.write_text("route: {}\n")
    reply = server.reload()
    assert reply.status == 500 and "root route must specify a default receiver" in reply.text
    server.send("alerts", [alertmanagers.alert({"alertname": "C"})])
    wait_messages(listener, 3)


def test_an_alert_without_an_end_resolves_by_itself(world, listener):
    server = alertmanagers.start(world, "global: {resolve_timeout: 6s}\n" + RESTART % listener.url)
    server.send("alerts", [alertmanagers.alert({"alertname": "A"})])
    messages = wait_messages(listener, 2)
    assert [m["status"] for m in messages] == ["firing", "resolved"]
    assert messages[1]["alerts"][0]["endsAt"] > messages[1]["alerts"][0]["startsAt"]
