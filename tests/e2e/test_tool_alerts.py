# SPDX-License-Identifier: Apache-2.0
"""narthex tool test alerts: the example of docs/alerting.md, what it tells of failures, and the same timeline in a running Alertmanager."""
import pathlib
import re
import subprocess

import pytest

GUIDE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "alerting.md"


def write_example(world):
    text = GUIDE.read_text(encoding="utf-8")
    for name, body in re.findall(r"`(\w+\.yml)`:\n```yaml\n(.*?)```", text, re.S):
        world.write_file(name, body)


def run(world, *arguments):
    done = subprocess.run([str(world.binary), "tool", "test", *arguments], capture_output=True, text=True, check=False, cwd=world.directory)
    return done.returncode, done.stdout, done.stderr


def test_the_example_of_the_guide_passes(world):
    write_example(world)
    code, out, fault = run(world, "alerts", "tests.yml")
    assert (code, fault) == (0, ""), fault
    assert "SUCCESS" in out


@pytest.mark.parametrize("old, new, words", [
    ("at: 3m30s", "at: 3m", ["sent at 3m30s, but not as expected", "- at: 3m\n", "+ at: 3m30s\n"]),
    ("status: resolved", "status: firing", ["sent at 13m30s", "- status: firing", "+ status: resolved"]),
    ("annotations: {summary: one is down}", "annotations: {summary: x}", ['- - firing', 'summary="x"', 'summary="one is down"']),
    ("[FIRING:1] Inst", "[FIRING:2] Inst", ["- text: [FIRING:2] Inst", "+ text: [FIRING:1] Inst"]),
    ("{until: 20m, receiver: pager}", "{until: 25m, receiver: pager}", ["sent, but not expected", "receiver: pager", 'job="a"']),
    ("    - at: 13m30s", "    - at: 20m\n      receiver: default\n    - at: 13m30s", ["expected, but not sent", "receiver: default"]),
    ("reason: first notification", "reason: none", ["+ reason: first notification"]),
])
def test_failures_show_what_differs(world, old, new, words):
    write_example(world)
    path = world.directory / "tests.yml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    code, _, fault = run(world, "alerts", "tests.yml")
    assert code == 1
    for word in words:
        assert word in fault, fault


@pytest.mark.parametrize("old, new, words", [
    ("until: 30m", "until: 0s", "tests.yml:10:5: until must be given"),
    ("status: firing", "status: on", 'tests.yml:12:7: status: "on" is not firing or resolved'),
    ("alertmanager_config: alertmanager.yml\n", "", "needs an alertmanager_config"),
    ("alertmanager_config: alertmanager.yml", "alertmanager_config: none.yml", "none.yml"),
    ("matchers: ['job=\"b\"']", "matchers: ['job']", "silences[0]: bad matcher format: job"),
    ("start: 0s, end: 40m", "start: 40m, end: 40m", "the silence ends before it starts"),
    ("{alertname: DatacenterDown}, start", "{}, start", "an alert needs labels"),
])
def test_faults_of_the_file_have_a_place(world, old, new, words):
    write_example(world)
    path = world.directory / "tests.yml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    code, _, fault = run(world, "alerts", "tests.yml")
    assert code == 1 and words in fault, fault


def test_test_rules_refuses_what_promtool_does_not_know(world):
    write_example(world)
    code, _, fault = run(world, "rules", "tests.yml")
    assert code == 1 and "`test alerts`" in fault


MUTED = """\
alertmanager_config: am.yml
tests:
- name: %s
  start_timestamp: 2026-01-05T08:00:00Z
  alerts:
  - {labels: {alertname: A, kind: %s}, start: 0s, end: 70m}
  notification_test:
  - until: 3h
    exp_notifications: [%s]
"""
CONFIG = """\
route:
  receiver: r
  group_by: [alertname]
  group_wait: 10s
  group_interval: 5m
  repeat_interval: 30m
  routes:
  - {matchers: [kind="muted"], mute_time_intervals: [morning]}
  - {matchers: [kind="active"], active_time_intervals: [morning]}
  - {matchers: [kind="quiet"], receiver: quiet}
receivers:
- name: r
- name: quiet
  webhook_configs: [{url: 'http://x.example/', send_resolved: false}, {url: 'http://y.example/'}]
time_intervals:
- {name: morning, time_intervals: [{times: [{start_time: '08:30', end_time: '12:00'}]}]}
"""


@pytest.mark.parametrize("kind, expected", [
    ("plain", "{at: 10s}, {at: 35m10s, reason: repeat interval elapsed}, {at: 1h10m10s, status: resolved}"),
    ("muted", "{at: 10s}"),
    ("active", "{at: 30m10s, reason: first notification}, {at: 1h5m10s}, {at: 1h10m10s, status: resolved}"),
    ("quiet", "{at: 10s, integration: 'webhook[0]'}, {at: 35m10s, integration: 'webhook[1]'}, "
              "{at: 1h10m10s, integration: 'webhook[1]', status: resolved}"),
])
def test_repeats_mutes_and_resolutions(world, kind, expected):
    world.write_file("am.yml", CONFIG)
    world.write_file("t.yml", MUTED % (kind, kind, expected))
    code, _, fault = run(world, "alerts", "t.yml")
    assert code == 0, fault
