# SPDX-License-Identifier: Apache-2.0
"""What receivers are told at the edges: texts that are cut, services whose address is fixed, and answers that are no success. Where the
original is of 0.33 or later ($ALERTMANAGER_PEER), it is told the same and must send the same."""
import http.server
import json
import re
import threading

import alertmanagers
import harness
import http_proxy
import tls_front
from alertmanagers import alert, peer_minor, start
from test_alertmanager_receivers import EXTRA


def sides():
    return (False, True) if peer_minor() >= 33 else (False,)


def bodies(listener):
    """By path: what was sent, the address of the listener taken out."""
    found = {}
    for request in listener.requests:
        text = re.sub(r'"startsAt":"[^"]*"', '"startsAt":""', request["body"].replace(listener.url, "URL"))
        found.setdefault(request["path"].split("X-Amz")[0].replace(listener.url, "URL"), []).append(text)
    return {path: sorted(texts) for path, texts in found.items()}


def alike(runs):
    ours = runs[0]
    for theirs in runs[1:]:
        assert set(theirs) == set(ours)
        for path, texts in theirs.items():
            texts = [re.sub(r',"routeLabels":\{[^}]*\}', "", t) for t in texts]
            assert texts == [re.sub(r',"routeLabels":\{[^}]*\}', "", t) for t in ours[path]], path


def test_services_with_a_fixed_address_get_the_original_s_requests(world):
    cert, key = tls_front.certificate(world.directory, "any", "DNS:any")
    runs = []
    for original in sides():
        listener = alertmanagers.Listener()
        tls = tls_front.Tls(f"127.0.0.1:{listener.port}", cert, key)
        proxy = http_proxy.Proxy(tls.port)
        through = f"http_config: {{proxy_url: '{proxy.url}', tls_config: {{insecure_skip_verify: true}}}}"
        server = start(world, f"""
route: {{receiver: r, group_wait: 10ms, group_interval: 1s}}
receivers:
- name: r
  pushover_configs:
  - {{user_key: uk, token: to, title: '{{{{ .Status }}}} &', retry: 2m, expire: 1h, ttl: 30s, device: d, sound: s, html: true, {through}}}
  - {{user_key: uk, token: to, message: ' ', url: 'http://x/?a=b&c', url_title: ut, monospace: true, priority: '1', {through}}}
  pagerduty_configs: [{{service_key: sk, details: {{more: '{{{{ .Status }}}}'}}, {through}}}]
""", original=original)
        times = {"starts": "2026-11-21T00:00:00Z"}
        server.send("alerts", [alert({"alertname": "A", "job": "<j>"}, {"summary": "s & t"}, **times)])
        harness.wait_until("three requests", lambda: len(listener.requests) >= 3)
        server.send("alerts", [alert({"alertname": "A", "job": "<j>"}, {"summary": "s & t"}, ends="2026-11-21T00:00:09Z", **times)])
        harness.wait_until("six requests", lambda: len(listener.requests) >= 6)
        server.stop()
        assert {target for _, target, _ in proxy.asked} == {"api.pushover.net:443", "events.pagerduty.com:443"}
        runs.append(bodies(listener))
        listener.close()
    paths = sorted(runs[0])
    assert [p.split("?")[0] for p in paths] == ["/1/messages.json"] * 4 + ["/generic/2010-04-15/create_event.json"]
    assert sorted(json.loads(t)["event_type"] for t in runs[0][paths[-1]]) == ["resolve", "trigger"]
    assert any("message=%28no+details%29" in p for p in paths) and any("priority=2" in p for p in paths) and any("priority=0" in p for p in paths)
    assert runs[0][paths[0]] == [""]
    alike(runs)


LONG = """
global: {opsgenie_api_key: k, opsgenie_api_url: 'URL/og', victorops_api_key: k, victorops_api_url: 'URL/vo', telegram_api_url: 'URL/tg',
  telegram_bot_token: tok, webex_api_url: 'URL/webex', jira_api_url: 'URL/rest/api/2', rocketchat_api_url: 'URL/rc', rocketchat_token: t,
  rocketchat_token_id: i, mattermost_webhook_url: 'URL/mm', pagerduty_url: 'URL/pd', slack_api_url: 'URL/slack'}
templates: [extra.tmpl]
route: {receiver: long, group_wait: 10ms, routes: [{receiver: huge, matchers: ['huge="1"'], group_by: [huge], group_wait: 1s}]}
receivers:
- name: huge
  pagerduty_configs: [{routing_key: rk}]
  incidentio_configs: [{url: 'URL/inc', alert_source_token: t}]
- name: long
  slack_configs: [{title: 'L', text: t}]
  discord_configs: [{webhook_url: 'URL/discord', title: 'L', message: 'L', content: 'L'}]
  opsgenie_configs: [{message: 'L', description: d}]
  victorops_configs: [{routing_key: r, state_message: 'LLLL'}]
  telegram_configs: [{chat_id: 5, parse_mode: '', message: 'L'}, {chat_id: 6, message: 'L'}]
  webex_configs: [{room_id: r, message: 'LL', http_config: {authorization: {credentials: x}}}]
  jira_configs: [{project: p, issue_type: b, summary: 'L', description: 'LLLLLLL'}]
  rocketchat_configs: [{title: 'L', text: t}]
  mattermost_configs: [{title: t, text: 'LLLL', attachments: [{text: a}]}]
  sns_configs: [{phone_number: '+1', api_url: 'URL/sns', sigv4: {region: eu-west-1, access_key: a, secret_key: b}, subject: s, message: '{{ range $i, $_ := .Alerts }}PLAIN{{ end }}'}]
  pagerduty_configs: [{routing_key: rk, description: 'L', details: {a: b}}]
"""


def test_long_texts_are_cut_as_by_the_original(world):
    text = "".join(f"{n}é€𝄞" for n in range(900))  # 5290 runes
    world.write_file("extra.tmpl", EXTRA)
    runs = []
    for original in sides():
        listener = alertmanagers.Listener()
        server = start(world, LONG.replace("URL", listener.url).replace("PLAIN", "0123456789" * 200).replace("L'", text + "'").replace("'L", "'" + text).replace("LL", 3 * text)
                       .replace("L" + text, 2 * text), original=original)
        times = {"starts": "2026-11-21T00:00:00Z"}
        server.send("alerts", [alert({"alertname": "A"}, **times)])
        server.send("alerts", [alert({"alertname": "A", "huge": "1", "n": str(n)}, {"text": "x" * 300000}) for n in range(2)])
        harness.wait_until("each request", lambda: len({r["path"] for r in listener.requests}) >= 13 and len(listener.requests) >= 15)
        server.stop()
        runs.append(bodies(listener))
        listener.close()
    sent = {path: [json.loads(t) if t.startswith("{") else t for t in texts] for path, texts in runs[0].items()}
    title = sent["/slack"][0]["attachments"][0]["title"]
    assert len(title) == 1024 and title == text[:1023] + "…"
    assert len(sent["/discord"][0]["embeds"][0]["title"]) == 256 and len(sent["/discord"][0]["content"]) == 2000
    assert len(sent["/og/v2/alerts"][0]["message"]) == 130 and len(sent["/webex"][0]["markdown"].encode()) <= 7439
    assert f"Message={'0123456789' * 160}&" in sent["/sns"][0]
    details = [row["payload"]["custom_details"] for row in sent["/pd"]]
    assert {"error": "Custom details have been removed because the original event exceeds the maximum size of 512KB"} in details
    assert [len(row["alerts"]) for row in sent["/inc"]] == [1]
    # What stands for a message that is too long for Telegram as a whole is worded by us.
    alike([{p: [re.sub(r'("chat_id":"6".*"text":)".*"', r"\1", t) for t in ts] for p, ts in run.items()} for run in runs])


class Refusing:
    """Answers /CODE/... with that code."""

    def __init__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = b'{"status":"invalid","message":"Event object is invalid","errors":["one","two"]}'
                self.send_response(int(self.path.split("/")[1]))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


def test_refusals_are_counted_by_their_reason(world):
    refusing = Refusing()
    reasons = {"401": "authError", "403": "authError", "404": "clientError", "429": "rateLimited", "500": "serverError"}
    hooks = ", ".join(f"{{url: '{refusing.url}/{code}/'}}" for code in reasons)
    server = start(world, f"""
route: {{receiver: r, group_wait: 10ms, group_interval: 1s, repeat_interval: 1h}}
receivers:
- name: r
  webhook_configs: [{hooks}]
  pagerduty_configs: [{{routing_key: rk, url: '{refusing.url}/400/'}}]
""")
    server.send("alerts", [alert({"alertname": "A"})])

    def failed():
        rows = re.findall(r'^alertmanager_notifications_failed_total{integration="webhook",reason="(.*)"} (\d+)', server.get("/metrics").text, re.M)
        return {reason for reason, count in rows if int(count)}

    harness.wait_until("each reason", lambda: failed() == set(reasons.values()))
    assert "Event object is invalid: one,two" in server.log_path.read_text()
    refusing.server.shutdown()


def test_labels_of_a_route_that_ask_for_each_other_are_a_fault(world):
    config = """
route: {receiver: r, labels: {%s}}
receivers: [{name: r, webhook_configs: [{url: 'http://127.0.0.1:1/'}]}]
"""

    def preview(labels, text):
        server = start(world, config % labels)
        reply = server.post("/api/v2/narthex/template", json.dumps({"receiver": "r", "text": text}).encode(), {"Content-Type": "application/json"})
        server.stop()
        return reply.text

    assert '"text":"see firing"' in preview("""c: 'see {{ routeLabels "d" }}', d: '{{ .Status }}'""", '{{ routeLabels "c" }}')
    assert "route label cycle detected: a -> b -> a" in preview("""a: '{{ routeLabels "b" }}', b: '{{ routeLabels "a" }}'""",
                                                                '{{ routeLabels "a" }}')
