# SPDX-License-Identifier: Apache-2.0
"""narthex alertmanager's flags and what its log tells."""
import json
import subprocess
import time

import alertmanagers
import harness
from alertmanagers import alert, stamp, start
from test_alertmanager_timelines import listener, wait_messages  # noqa: F401  (a fixture)

HOOK = """
route: {receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 2s%s}
receivers:
- name: hook
  webhook_configs: [{url: "%s"}]
- name: idle
  webhook_configs: [{url: "http://127.0.0.1:1/"}]
"""


def post_silence(server, comment="c"):
    body = {"matchers": [{"name": "a", "value": "b", "isRegex": False}], "startsAt": stamp(), "endsAt": stamp(3600), "createdBy": "me",
            "comment": comment}
    return server.post("/api/v2/silences", json.dumps(body).encode(), {"Content-Type": "application/json"})


def has_line(server, *words):
    return any(all(word in line for word in words) for line in server.log_path.read_text().splitlines())


def test_silences_are_limited_in_number_and_size(world):
    server = start(world, HOOK % ("", "http://127.0.0.1:1/"), "--silences.max-silences=1", "--silences.max-silence-size-bytes=300")
    big = post_silence(server, "x" * 400)
    assert big.status == 400 and big.text.startswith('"silence exceeded maximum size: '), big.text
    one = post_silence(server)
    assert one.status == 200
    more = post_silence(server)
    assert (more.status, more.text) == (400, '"exceeded maximum number of silences: 1 (limit: 1)"\n')
    server.expire(one.json()["silenceID"])  # what is over counts as well
    assert post_silence(server).status == 400


def test_changes_of_silences_are_logged_to_who_asks(world):
    server = start(world, HOOK % ("", "http://127.0.0.1:1/"), "--log.silences")
    silence = server.silence({"a": "b"}, comment="why")
    server.expire(silence)
    for what in ("created", "expired"):
        assert has_line(server, what, silence, "e2e", "why", "a="), what


def test_groups_wait_for_the_start_delay(world, listener):  # noqa: F811
    began = time.monotonic()
    server = start(world, HOOK % ("", listener.url), "--dispatch.start-delay=4s")
    server.send("alerts", [alert({"alertname": "A"})])
    assert [g["labels"] for g in server.v2("alerts/groups")] == [{"alertname": "A"}]
    wait_messages(listener, 1)
    assert listener.requests[0]["at"] - began >= 4


def test_what_a_configuration_may_not_mean_is_told(world):
    # One that only the classic parser takes, and one that the two read otherwise.
    odd = "routes: [{matchers: ['x=~[a-z]{2}']}, {matchers: ['y=\"\\x41\"']}]"
    server = start(world, HOOK % (", repeat_interval: 1s, " + odd, "http://127.0.0.1:1/"))
    assert has_line(server, "repeat_interval is less than group_interval")
    assert has_line(server, "not referenced by any route", "idle")
    assert server.metric("alertmanager_receivers") == 1 and server.metric("alertmanager_integrations") == 1
    assert has_line(server, "UTF-8 parser cannot", "x=~[a-z]{2}", "suggestion=")
    assert has_line(server, "disagreement", "x41", "suggestion=")
    server = start(world, HOOK % (", repeat_interval: 200h", "http://127.0.0.1:1/"))
    assert has_line(server, "repeat_interval is greater than the data retention period")


def test_urls_are_not_in_the_log(world):
    server = start(world, HOOK % ("", "http://127.0.0.1:1/secret-of-the-url"))
    server.send("alerts", [alert({"alertname": "A"})])
    harness.wait_until("a failure in the log", lambda: has_line(server, "notify attempt failed", "hook"))
    assert "secret-of-the-url" not in server.log_path.read_text()
    assert has_line(server, '<redacted>', "connection refused")


def test_resolved_alerts_are_dropped_in_time(world):
    server = start(world, HOOK % ("", "http://127.0.0.1:1/"), "--alerts.gc-interval=1s", "--alerts.per-alertname-limit=1")
    server.send("alerts", [alert({"alertname": "A", "i": "1"})])
    refused = server.post("/api/v2/alerts", json.dumps([alert({"alertname": "A", "i": "2"})]).encode(), {"Content-Type": "application/json"})
    assert refused.status == 200 and server.metric("alertmanager_alerts_limited_total") == 1
    server.send("alerts", [alert({"alertname": "A", "i": "1"}, ends=stamp())])
    harness.wait_until("room for another", lambda: server.send("alerts", [alert({"alertname": "A", "i": "2"})]) is None and
                       [a["labels"]["i"] for a in server.v2("alerts")] == ["2"])


def test_a_bad_configuration_or_flag_ends_the_start(world):
    path = world.write_file("bad.yml", "route: {}\n")
    for flags, code, word in [([f"--config.file={path}"], 1, "root route must specify a default receiver"),
                              (["--enable-feature=nope"], 2, "nope"),
                              (["--enable-feature=classic-mode,utf8-strict-mode"], 2, "cannot be used together"),
                              (["--web.external-url=nowhere"], 2, "nowhere"), (["--no-such-flag"], 2, "no-such-flag")]:
        run = subprocess.run([str(world.binary), "alertmanager", "--cluster.listen-address=", f"--storage.path={world.directory}/x",
                              f"--web.listen-address=127.0.0.1:{harness.free_port()}", *flags], capture_output=True, text=True, timeout=60)
        assert run.returncode == code and word in run.stdout + run.stderr, (flags, run)

