# SPDX-License-Identifier: Apache-2.0
"""Rules of a whole server: recorded series, alerts to a real listener and to a real Alertmanager, reload and restart."""
import http.server
import json
import threading
import time

import pytest

import harness


class Receiver:
    """Stands where an Alertmanager would and writes down what is posted."""

    def __init__(self):
        self.alerts, self.paths = [], []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.paths.append((self.path, self.headers["Content-Type"]))
                receiver.alerts.extend(json.loads(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def named(self, name):
        return [a for a in self.alerts if a["labels"]["alertname"] == name]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


RULES = """\
groups:
- name: ping
  interval: 1s
  rules:
  - record: job:ping_request_count:sum
    expr: sum by (job) (ping_request_count)
  - alert: HighPing
    expr: ping_request_count > 5
    for: 2s
    labels: {severity: page}
    annotations:
      summary: "{{ $labels.job }} got {{ $value }} pings"
"""


def config(target, alertmanager_port, rules="rules.yml"):
    return f"""\
global:
  scrape_interval: 1s
  external_labels: {{cluster: east}}
rule_files: [{rules}]
alerting:
  alertmanagers:
  - static_configs:
    - targets: ['127.0.0.1:{alertmanager_port}']
scrape_configs:
- job_name: app
  static_configs:
  - targets: ['{target.address}']
"""


def pings(count):
    return f"# TYPE ping_request_count gauge\nping_request_count {count}\n"


def test_an_alert_goes_from_metric_to_message_and_back(world, receiver):
    target = world.target(pings(3))
    world.write_file("rules.yml", RULES)
    server = world.server(config(target, receiver.port), "--rules.alert.resend-delay=1s")
    server.start()

    harness.wait_until("the recorded series",
                       lambda: list(server.query("job:ping_request_count:sum").values()) == ["3"])
    assert server.api("alerts")["alerts"] == []
    target.page = pings(7)
    firing = harness.wait_until("the message", lambda: receiver.named("HighPing"))[0]

    assert firing["labels"] == {"alertname": "HighPing", "severity": "page", "cluster": "east", "job": "app",
                                "instance": target.address}
    assert firing["annotations"] == {"summary": "app got 7 pings"}
    assert "/graph?g0.expr=ping_request_count+%3E+5&g0.tab=1" in firing["generatorURL"]
    assert receiver.paths[0] == ("/api/v2/alerts", "application/json")
    alert = server.api("alerts")["alerts"][0]
    assert alert["state"] == "firing" and alert["value"] == "7e+00"
    assert list(server.query("sum by (alertstate) (ALERTS)")) == ['{alertstate="firing"}']

    target.page = pings(1)
    harness.wait_until("the alert's end", lambda: server.api("alerts")["alerts"] == [])
    now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 1))
    harness.wait_until("the message of its end",
                       lambda: receiver.named("HighPing")[-1]["endsAt"] <= now)
    harness.wait_until("no ALERTS", lambda: server.query("ALERTS") == {})


def test_a_reload_keeps_state_and_a_bad_file_changes_nothing(world, receiver):
    target = world.target(pings(7))
    world.write_file("rules.yml", RULES)
    server = world.server(config(target, receiver.port), "--web.enable-lifecycle")
    server.start()
    before = harness.wait_until("the alert", lambda: server.api("alerts")["alerts"])[0]

    world.write_file("rules.yml", RULES + "- name: more\n  rules:\n  - record: late\n    expr: vector(1)\n")
    server.reload()
    groups = [g["name"] for g in server.api("rules")["groups"]]
    assert groups == ["more", "ping"]
    assert server.api("alerts")["alerts"][0]["activeAt"] == before["activeAt"]

    world.write_file("rules.yml", RULES + "- name: more\n  rules:\n  - record: late\n    expr: vector(\n")
    reply = server.post("/-/reload")
    assert reply.status == 500
    assert "rules.yml:16:11: group \"more\", rule 1, \"late\": could not parse expression" in reply.text
    assert [g["name"] for g in server.api("rules")["groups"]] == ["more", "ping"]
    assert server.api("alerts")["alerts"][0]["activeAt"] == before["activeAt"]


def test_rules_say_where_they_stand_in_their_file_to_who_asks(world, receiver):
    world.write_file("rules.yml", RULES)
    server = world.server(config(world.target(pings(7)), receiver.port), "--web.enable-lifecycle")
    server.start()

    def lines(query):
        return [rule.get("line") for group in server.api(query)["groups"] for rule in group["rules"]]
    assert lines("rules") == [None, None]
    assert lines("rules?rule_lines=true") == [5, 7]
    before = harness.wait_until("the alert", lambda: server.api("alerts")["alerts"])[0]

    world.write_file("rules.yml", "# One.\n# Two.\n" + RULES)
    server.reload()
    assert lines("rules?rule_lines=true&type=alert") == [9]
    assert server.api("alerts")["alerts"][0]["activeAt"] == before["activeAt"]
    assert server.get("/api/v1/rules?rule_lines=maybe").status == 400


def test_pending_alerts_survive_a_kill(world, receiver):
    target = world.target(pings(7))
    world.write_file("rules.yml", RULES.replace("for: 2s", "for: 1h"))
    server = world.server(config(target, receiver.port), "--rules.alert.for-grace-period=1s")
    server.start()
    state = harness.wait_until("its state in the store", lambda: server.query("ALERTS_FOR_STATE"))
    began = float(next(iter(state.values())))

    harness.wait_until("some time pending", lambda: time.time() > began + 4)
    server.kill()
    server.start()
    up_at = time.time()

    def restored():
        alerts = server.api("alerts")["alerts"]
        # Written since the start: ALERTS of before has no marker, and its state is that of before.
        fresh = server.query("timestamp(ALERTS_FOR_STATE) > %d" % up_at)
        return alerts and fresh and float(next(iter(server.query("ALERTS_FOR_STATE").values())))
    again = harness.wait_until("the state again", restored)
    # The time away does not count: it became active a little later, not anew.
    assert began <= again < up_at
    assert server.api("rules")["groups"][0]["rules"][1]["state"] == "pending"


def test_a_bad_rule_file_ends_the_start_with_its_place(world):
    world.write_file("rules.yml", "groups:\n- name: g\n  rules:\n  - record: a\n    expr: 1 +\n")
    path = world.write_file("prometheus.yml", "rule_files: [rules.yml]\n")

    shown = world.run("server", f"--config.file={path}", f"--storage.tsdb.path={world.directory}/data",
                      "--web.listen-address=127.0.0.1:0")

    assert shown.returncode == 2
    assert "rules.yml:5:11: group \\\"g\\\", rule 1, \\\"a\\\": could not parse expression" in shown.stderr


def test_a_real_alertmanager_takes_our_alerts(world):
    target = world.target(pings(7))
    world.write_file("rules.yml", RULES)
    world.write_file("alertmanager.yml", "route: {receiver: none}\nreceivers: [{name: none}]\n")
    port = harness.free_port()
    manager = world._add(harness.Server(
        [harness.original("prometheus-alertmanager"), f"--config.file={world.directory}/alertmanager.yml",
         f"--storage.path={world.directory}/alertmanager", f"--web.listen-address=127.0.0.1:{port}",
         "--cluster.listen-address="], world.directory, port, "alertmanager"))
    manager.start()
    server = world.server(config(target, port), "--rules.alert.resend-delay=1s")
    server.start()

    def known():
        alerts = manager.get("/api/v2/alerts").json()
        return alerts and alerts[0]
    alert = harness.wait_until("the alert in the Alertmanager", known)

    assert alert["labels"]["alertname"] == "HighPing"
    assert alert["labels"]["cluster"] == "east"
    assert alert["annotations"] == {"summary": "app got 7 pings"}
    assert alert["status"]["state"] == "active"
    target.page = pings(0)
    harness.wait_until("its end there", lambda: manager.get("/api/v2/alerts").json() == [])
    url = f"http://127.0.0.1:{port}/api/v2/alerts"
    assert server.metric(f'prometheus_notifications_sent_total{{alertmanager="{url}"}}') >= 2
    assert server.metric(f'prometheus_notifications_errors_total{{alertmanager="{url}"}}') == 0


TESTS = """\
rule_files: [rules.yml]
evaluation_interval: 1s
tests:
- interval: 1s
  input_series:
  - series: 'ping_request_count{job="a"}'
    values: '0+1x20'
  alert_rule_test:
  - eval_time: 5s
    alertname: HighPing
  - eval_time: 9s
    alertname: HighPing
    exp_alerts:
    - exp_labels: {severity: page, job: a}
      exp_annotations: {summary: a got %s pings}
  promql_expr_test:
  - expr: job:ping_request_count:sum
    eval_time: 4s
    exp_samples:
    - {labels: 'job:ping_request_count:sum{job="a"}', value: 4}
"""


@pytest.mark.parametrize("pings, status", [(9, 0), (8, 1)])
def test_rule_tests_end_as_promtool_ends_them(world, pings, status):
    world.write_file("rules.yml", RULES)
    tests = world.write_file("tests.yml", TESTS % pings)

    ours = world.run("tool", "test", "rules", tests)
    theirs = harness.promtool("test", "rules", tests)

    assert ours.returncode == theirs.returncode == status
    assert ours.stdout == theirs.stdout
    assert ours.stderr == theirs.stderr


def test_checks_of_rules_end_as_promtool_ends_them(world):
    good = world.write_file("rules.yml", RULES)
    twice = world.write_file("twice.yml", RULES + "  - record: job:ping_request_count:sum\n    expr: up\n")

    for arguments in ([good], [twice], ["--lint-fatal", twice], ["--lint=none", twice, good]):
        ours = world.run("tool", "check", "rules", *arguments)
        theirs = harness.promtool("check", "rules", *arguments)
        assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)


def test_blocks_from_rules_hold_what_the_rules_would_have_recorded(world):
    start = int(time.time()) // 60 * 60 - 8 * 3600
    server = world.server("global: {}\n", "--web.enable-remote-write-receiver",
                          "--storage.tsdb.retention.time=10y").start()
    values = [((start + minute * 60) * 1000, float(minute)) for minute in range(240)]
    assert server.write([({"__name__": "ping_request_count", "job": "a"}, values)]).status == 204
    rules = world.write_file("rules.yml", RULES)

    made = world.run("tool", "tsdb", "create-blocks-from", "rules", "--url", server.url, "--start", start + 600,
                     "--end", start + 3 * 3600, "--eval-interval=1m", "--output-dir", world.directory / "blocks", rules)

    assert made.returncode == 0, made.stderr
    listed = harness.promtool("tsdb", "list", world.directory / "blocks")
    assert listed.returncode == 0 and len(listed.stdout.splitlines()) == len(made.stdout.splitlines()) >= 3
    other = world.server("global: {}\n", "--storage.tsdb.retention.time=10y", data="blocks").start()
    asked = other.query("job:ping_request_count:sum", time=start + 3600)
    assert asked == {'job:ping_request_count:sum{job="a"}': "59"} or \
        asked == {'job:ping_request_count:sum{job="a"}': "60"}
    assert other.query("count({__name__=~'ALERTS.*'})", time=start + 3600) == {}
