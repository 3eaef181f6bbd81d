# SPDX-License-Identifier: Apache-2.0
"""narthex tool alert explain, receiver preview, receiver test: what narthex's Alertmanager offers beyond the original (docs/alerting.md)."""
import json
import subprocess

import pytest

import alertmanagers
import harness
from test_alertmanager_explain import config
from test_alertmanager_timelines import listener  # noqa: F401  (a fixture)


@pytest.fixture(name="am")
def running(world, listener):  # noqa: F811
    return alertmanagers.start(world, config(listener.url))


def tool(server, *arguments):
    done = subprocess.run([str(server.binary_path), "tool", f"--alertmanager.url={server.url}", *arguments], capture_output=True, text=True,
                          check=False, cwd=server.directory)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(autouse=True)
def with_binary(world, am):
    am.binary_path = world.binary


def test_explain_says_what_comes_of_labels(am):
    code, out, fault = tool(am, "alert", "explain", "A", "job=x")
    assert code == 0, fault
    assert 'alertname="A" job="x"' in out and "not held" in out
    assert "Receiver:" in out and "team" in out and "Muted by:" in out and "always" in out
    assert out.count("Verdict:") == 2 and "Taken" not in out

    code, out, _ = tool(am, "-o", "extended", "alert", "explain", "alertname=A", "job=x")
    assert code == 0 and "Route " in out and "Taken" in out and '{}/{job="x"}' in out


def test_explain_knows_an_alert_by_its_fingerprint(am, listener):  # noqa: F811
    am.send("alerts", [alertmanagers.alert({"alertname": "A", "job": "x"})])
    silence = am.silence({"alertname": "A"}, comment="upgrade")
    fingerprint = am.v2("alerts")[0]["fingerprint"]
    code, out, fault = tool(am, "alert", "explain", f"--fingerprint={fingerprint}")
    assert code == 0, fault
    assert "firing since 20" in out and f"{silence} until 20" in out and "e2e: upgrade" in out and "Next flush:" in out

    code, out, _ = tool(am, "-o", "json", "alert", "explain", f"--fingerprint={fingerprint}")
    assert code == 0 and json.loads(out)["fingerprint"] == fingerprint


def test_preview_fills_in_all_templates_and_fails_with_one(am, listener):  # noqa: F811
    code, out, fault = tool(am, "receiver", "preview", "wordy", "A", "job=x", "--annotation=summary=hi")
    assert code == 1 and fault == "" and "slack[0] channel:\nc-x\n" in out and "error: " in out and "topsecret" not in out
    code, out, fault = tool(am, "receiver", "preview", "team", "A", "job=x", "--template.text={{ .CommonLabels.job }}<")
    assert (code, out, fault) == (0, "x<\n", "")
    am.send("alerts", [alertmanagers.alert({"alertname": "B", "job": "x", "i": str(i)}) for i in range(3)])
    code, out, fault = tool(am, "receiver", "preview", "team", '--group-key={}/{job="x"}:{alertname="B"}', "--template.text={{ len .Alerts }}")
    assert (code, out, fault) == (0, "3\n", "")
    assert not [m for m in listener.messages() if m["path"] == "/slack/topsecret"]


def test_a_test_notification_is_sent_and_what_fails_is_told(am, world, listener):  # noqa: F811
    code, out, fault = tool(am, "receiver", "test", "team")
    assert code == 0 and "webhook[0]: success after " in out, fault
    assert [m["groupLabels"] for m in listener.messages("/team")] == [{"alertname": "TestAlert"}]

    path = world.write_file("alerts.json", json.dumps([{"labels": {"alertname": "F", "job": "f"}}]))
    code, out, fault = tool(am, "receiver", "test", "unused", f"--alerts.file={path}")
    assert code == 1 and "webhook[1]: success" in out and "webhook[2]: failed after " in out and fault == ""
    assert [m["commonLabels"]["job"] for m in listener.messages("/unused")] == ["f", "f"]


def test_faults_are_told(am, world, listener):  # noqa: F811
    broken = world.write_file("broken.json", "[{]")
    for arguments, words in [
            (["alert", "explain"], "either labels or --fingerprint must be given"),
            (["alert", "explain", "A", "--fingerprint=1"], "either labels or --fingerprint must be given"),
            (["alert", "explain", "--fingerprint=0123456789abcdef"], "[404]"),
            (["receiver", "test", "nobody"], "nobody"),
            (["receiver", "test"], "receiver"),
            (["receiver", "test", "team", "a=b", "--group-key=x"], "exclude each other"),
            (["receiver", "preview", "team", "--annotation=a=b"], "--annotation needs labels"),
            (["receiver", "preview", "team", f"--alerts.file={broken}"], "broken.json: 1:3"),
            (["receiver", "preview", "team", "A", "oops"], "oops")]:
        code, _, fault = tool(am, *arguments)
        assert code == 1 and words in fault, (arguments, fault)
    closed = alertmanagers.start(world, config(listener.url), "--no-web.enable-test-notifications")
    closed.binary_path = world.binary
    code, _, fault = tool(closed, "receiver", "test", "team")
    assert code == 1 and "(status 403): " in fault and "switched off" in fault


def test_the_original_does_not_have_it(world):
    binary = alertmanagers.peer_binary()
    if not binary:
        pytest.skip("the original is not here")
    server = alertmanagers.start(world, "route: {receiver: r}\nreceivers: [{name: r}]\n", original=True)
    server.binary_path = world.binary
    code, _, fault = tool(server, "alert", "explain", "A")
    assert code == 1 and "[404] explainAlert" in fault.replace("[POST /narthex/explain]", ""), fault
    assert harness.http_call(server.url + "/-/healthy").status == 200
