# SPDX-License-Identifier: Apache-2.0
"""Each kind of receiver, pointed at a listener by the original and by narthex: the requests must be the same."""
import collections
import json
import subprocess
import time

import pytest

import alertmanagers
import harness
import tls_front

CONFIG = """\
global:
  slack_api_url: URL/slack
  opsgenie_api_key: k
  opsgenie_api_url: URL/og
  wechat_api_secret: s
  wechat_api_corp_id: c
  wechat_api_url: URL/wechat
  victorops_api_key: k
  victorops_api_url: URL/vo
  telegram_api_url: URL/tg
  telegram_bot_token: tok
  jira_api_url: URL/rest/api/2
  rocketchat_api_url: URL/rc
  rocketchat_token: t
  rocketchat_token_id: i
  mattermost_webhook_url: URL/mm
  pagerduty_url: URL/pd
  webex_api_url: URL/webex
route: {receiver: all, group_by: [job], group_wait: 1s, group_interval: 3s, repeat_interval: 1h}
templates: [extra.tmpl]
receivers:
- name: all
  webhook_configs:
  - url: URL/webhook
  - url: URL/wpay
    payload: {a: '', b: 'null', c: '"q"', d: '~', e: '1.50', f: '0x10', g: '2020-01-01', h: 'yes', i: '{a: 1}', j: "[1, 'x']",
      k: 'a: b: c', l: '1e3', m: ' 5 ', n: 5, o: true, p: null, q: ['{{ .Status }}', 1], '{{ .Status }}': x, 7: y, r: '0777',
      s: '1_000', t: "'x'", u: 12:30, w: '|x', z: '{{ .Alerts | toJson }}'}
  pagerduty_configs:
  - {routing_key: rk, class: cl, component: co, group: gr, severity: 'x{{ .Status }}'}
  - {routing_key: rk, details: {a: b, c: {d: '{{ .Status }}', l: [1, '2']}, firing: 'x'},
     images: [{src: a, alt: b, href: c}, {alt: q}], links: [{href: a, text: b}, {text: z}]}
  opsgenie_configs:
  - {responders: [{name: t, type: team}, {name: 'a, b', type: teams}, {id: x, type: '{{ "user" }}'}, {name: '{{ "" }}', type: user}],
     tags: 'a,b ,, {{ .Status }}', actions: 'x,y', details: {k: '{{ .Status }}', job: over}, entity: e, note: n, priority: P1,
     update_alerts: true}
  wechat_configs:
  - {send_resolved: true, to_user: u}
  - {to_party: p, message_type: markdown, agent_id: '5'}
  slack_configs:
  - {send_resolved: true, channel: '#c', link_names: true, image_url: im, thumb_url: th, message_text: 'mt {{ .Status }}',
     fields: [{title: a, value: b}, {title: x, value: '{{ .Status }}', short: true}],
     actions: [{type: button, text: t, url: u}, {type: button, text: t, name: n, value: v, style: primary, confirm: {text: sure, title: tt}}]}
  victorops_configs:
  - {routing_key: '{{ .Status }}', custom_fields: {a: '{{ .Status }}'}}
  - {routing_key: r, message_type: WARNING}
  sns_configs:
  - {topic_arn: 'arn:aws:sns:eu-west-1:1:x.fifo', api_url: 'URL/sns', sigv4: {region: eu-west-1, access_key: a, secret_key: b},
     attributes: {k: '{{ .Status }}', b: c}}
  - {phone_number: '+1', api_url: 'URL/sns', sigv4: {region: eu-west-1, access_key: a, secret_key: b}, subject: ''}
  telegram_configs:
  - {chat_id: 5, disable_notifications: true}
  - {chat_id: 5, parse_mode: '', message: '<{{ .Status }}> {{ .CommonLabels.zone }}'}
  - {chat_id: 5, message: '<b>{{ .Status }}</b> {{ .CommonLabels.zone }}'}
  discord_configs: [{webhook_url: 'URL/discord', content: 'c', username: us, avatar_url: 'http://a/b'}]
  webex_configs: [{room_id: r, http_config: {authorization: {credentials: x}}}]
  msteams_configs: [{webhook_url: 'URL/mst'}]
  msteamsv2_configs: [{webhook_url: 'URL/mst2'}]
  jira_configs: [{project: p, issue_type: bug, fields: {a: [1, x], b: '{{ .Status }}', customfield_1: {value: '7'}},
    labels: [l, '{{ .Status }}'], reopen_transition: Re, resolve_transition: Done, wont_fix_resolution: W, reopen_duration: 30d}]
  incidentio_configs: [{url: 'URL/inc', alert_source_token: t}]
  rocketchat_configs: [{send_resolved: true, channel: c, fields: [{title: a, value: b, short: true}, {title: x, value: y}],
    actions: [{type: button, text: t, url: u, msg: m}], emoji: em}]
  mattermost_configs:
  - {channel: c, fields: [{title: a, value: b}, {title: a, value: b, short: true}], author_name: an, footer: fo, icon_url: iu,
     priority: {priority: urgent, requested_ack: true, persistent_notifications: true}, props: {card: ca}, type: ty, text: tx}
  - {attachments: [{text: at, color: co, title: ti}], text: hello, priority: {priority: standard, requested_ack: true}}
"""

# Debian's packages leave out some of the default templates.
EXTRA = "".join('{{ define "%s" }}%s{{ end }}\n' % pair for pair in {
    "slack.default.color": '{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}',
    "discord.default.content": "", "msteams.default.summary": '{{ template "__subject" . }}',
    "msteams.default.title": '{{ template "__subject" . }}', "msteams.default.text": "TEXT",
    "msteamsv2.default.title": '{{ template "__subject" . }}', "msteamsv2.default.text": "TEXT",
    "jira.default.summary": '{{ template "__subject" . }}', "jira.default.description": "DESC",
    "jira.default.priority": "High", "rocketchat.default.title": '{{ template "__subject" . }}',
    "rocketchat.default.titlelink": '{{ template "__alertmanagerURL" . }}', "rocketchat.default.emoji": "",
    "rocketchat.default.iconurl": "", "rocketchat.default.text": "RT", "mattermost.default.text": "MT",
    "mattermost.default.color": "good", "mattermost.default.username": "Alertmanager",
    "mattermost.default.title": '{{ template "__subject" . }}',
    "mattermost.default.titlelink": '{{ template "__alertmanagerURL" . }}', "mattermost.default.fallback": "fb",
}.items())

# What a notification of each kind looks like on the wire: how many requests, and a word that must be in the first one's body.
WANTED = {
    "/webhook": (2, '"notification_reason":"first notification"'), "/wpay": (2, '"e":1.5'), "/pd": (4, '"event_action":"trigger"'),
    "/og/v2/alerts": (1, '"alias"'), "/wechat/message/send?access_token=tok": (3, '"msgtype"'), "/slack": (2, '"attachments"'),
    "/vo/k/r": (2, '"message_type":"WARNING"'), "/vo/k/firing": (1, '"CRITICAL"'), "/sns": (4, "Action=Publish"),
    "/tg/bottok/sendMessage": (6, '"chat_id":"5"'), "/discord": (2, '"embeds"'), "/webex": (2, '"markdown"'),
    "/mst": (2, "MessageCard"), "/mst2": (2, "AdaptiveCard"), "/rest/api/2/search": (2, '"jql"'), "/rest/api/2/issue": (1, '"summary"'),
    "/inc": (2, '"version":"1"'), "/rc/api/v1/chat.postMessage": (2, '"attachments"'), "/mm": (4, '"attachments"'),
}
# narthex names each notification, so that what comes again after a crash can be recognised: a header that is its own.
UNSTABLE = {"idempotency-key", "host", "content-length", "accept-encoding", "user-agent", "amz-sdk-invocation-id", "amz-sdk-request", "x-amz-date",
            "accept", "connection"}


def play(world, listener, is_original):
    world.write_file("extra.tmpl", EXTRA)
    server = alertmanagers.start(world, CONFIG.replace("URL", listener.url), original=is_original)
    labels = {"alertname": "High", "job": "api", "instance": "i1", "severity": "critical", "zone": "<z&1>"}
    notes = {"summary": 'too "high"', "desc": "d <b>i1"}
    url = "http://p/graph?g0.expr=a%3E1&x=<"
    server.send("alerts", [alertmanagers.alert(labels, notes, "2026-11-21T00:00:00.5Z", url=url)])
    harness.wait_until("the first notifications", lambda: len(listener.requests) >= 29)
    server.send("alerts", [alertmanagers.alert(labels, notes, "2026-11-21T00:00:00.5Z", "2026-11-21T00:00:02.123456789Z", url=url)])
    harness.wait_until("the second notifications", lambda: len(listener.requests) >= 52)
    time.sleep(1)
    server.stop()


def record(listener):
    """Requests by method and path, bodies parsed."""
    found = collections.defaultdict(list)
    for request in listener.requests:
        headers = {k: v for k, v in request["headers"].items() if k not in UNSTABLE}
        if request["path"] == "/sns":
            headers.pop("authorization")
        body = request["body"].replace(listener.url, "URL")
        try:
            body = json.loads(body)
        except ValueError:
            pass
        if isinstance(body, dict):
            body.pop("routeLabels", None)  # since 0.34
        found[request["method"], request["path"]].append((headers, body))
    return {key: sorted(rows, key=str) for key, rows in found.items()}


def test_each_kind_sends_what_it_must(world):
    listener = alertmanagers.Listener()
    play(world, listener, False)
    for path, (count, word) in WANTED.items():
        rows = [r for r in listener.requests if r["path"] == path]
        assert len(rows) == count, (path, len(rows))
        assert word in rows[0]["body"] or word in rows[-1]["body"], (path, rows[0]["body"])
    assert all(r["headers"]["user-agent"].startswith("Alertmanager/") for r in listener.requests)
    listener.close()


def test_requests_are_the_originals(world):
    version = subprocess.run([alertmanagers.peer_binary(), "--version"], capture_output=True, text=True, check=True)
    words = (version.stdout + version.stderr).split()
    minor = int(words[words.index("version") + 1].split(".")[1])
    if minor < 33:
        pytest.skip(f"the original here is 0.{minor}, whose requests are others; $ALERTMANAGER_PEER names a later one")
    records = []
    for is_original in (True, False):
        listener = alertmanagers.Listener()
        play(world, listener, is_original)
        records.append(record(listener))
        listener.close()
    theirs, ours = records
    assert set(theirs) == set(ours)
    for key, rows in theirs.items():
        assert rows == ours[key], key


SMTP_SINK = """\
import asyncore, json, smtpd, sys
class Sink(smtpd.SMTPServer):
    def process_message(self, peer, mailfrom, rcpttos, data, **kwargs):
        with open(sys.argv[2], "a") as out:
            out.write(json.dumps([mailfrom, rcpttos, data.decode()]) + "\\n")
Sink(("127.0.0.1", int(sys.argv[1])), None)
asyncore.loop(0.1)
"""


def test_mail_reaches_a_mail_server(world):
    port = harness.free_port()
    sink = world.write_file("sink.py", SMTP_SINK)
    mails = world.directory / "mails"
    process = subprocess.Popen(["/usr/bin/python3", str(sink), str(port), str(mails)], cwd=world.directory,
                               stderr=subprocess.DEVNULL)
    try:
        config = f"""\
global: {{smtp_smarthost: '127.0.0.1:{port}', smtp_from: 'Watch <am@example.org>', smtp_require_tls: false}}
route: {{receiver: r, group_by: [alertname], group_wait: 1s}}
receivers:
- name: r
  email_configs: [{{to: 'a@example.org, B <b@example.org>', headers: {{subject: 'Störung {{{{ .GroupLabels.alertname }}}}'}},
    text: '{{{{ range .Alerts }}}}{{{{ .Labels.instance }}}}{{{{ end }}}}'}}]
"""
        server = alertmanagers.start(world, config)
        server.send("alerts", [alertmanagers.alert({"alertname": "Down", "instance": "<db>"})])
        harness.wait_until("a mail", lambda: mails.exists() and mails.read_text().endswith("\n"))
        sender, to, text = json.loads(mails.read_text().splitlines()[0])
        assert sender == "am@example.org" and to == ["a@example.org", "b@example.org"]
        assert "Subject: =?utf-8?q?St=C3=B6rung_Down?=" in text
        assert "Content-Type: multipart/alternative;" in text and "Message-Id: <" in text
        assert "\n<db>\n" in text.replace("\r", "")
        assert "&lt;db&gt;" in text and text.index("text/plain") < text.index("text/html")
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("settings, version", [
    ("max_version: TLS12, server_name: mail.example", "TLSv1.2"),
    ("min_version: TLS13, server_name: mail.example", "TLSv1.3"),
    ("insecure_skip_verify: true", "TLSv1.3"),
    ("min_version: TLS13", None),
])
def test_mails_over_tls_are_sent_as_tls_config_says(world, settings, version):
    """The certificate of the server is of mail.example, and it asks for one of ours; all that is needed stands in the configuration."""
    cert, key = tls_front.certificate(world.directory, "mail", "DNS:mail.example")
    own, own_key = tls_front.certificate(world.directory, "own", "DNS:own")
    mails = alertmanagers.MailSink()
    tls = tls_front.Tls(f"127.0.0.1:{mails.port}", cert, key, client_ca=own)

    def inline(path):
        return json.dumps(path.read_text())
    server = alertmanagers.start(world, f"""\
route: {{receiver: r, group_wait: 10ms, group_interval: 1s}}
receivers:
- name: r
  email_configs:
  - {{to: 'a@example.org', from: 'b@example.org', smarthost: '{tls.address}', force_implicit_tls: true,
     tls_config: {{ca: {inline(cert)}, cert: {inline(own)}, key: {inline(own_key)}, {settings}}}}}
""")
    server.send("alerts", [alertmanagers.alert({"alertname": "A"})])
    if version:
        harness.wait_until("a mail", lambda: mails.mails)
        assert {v for _, v in tls.met} == {version}
    else:
        harness.wait_until("a refusal", lambda: "notify attempt failed" in server.log_tail(4000))
        assert not mails.mails
    assert server.stop() == 0
    tls.close()
    mails.close()
