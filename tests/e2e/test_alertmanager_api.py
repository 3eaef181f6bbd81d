# SPDX-License-Identifier: Apache-2.0
"""The same requests to the original Alertmanager and to narthex: the answers are equal, but for what DIFFERS says and why.

Rows are played in order to one server, so what is posted above is seen below. alertmanager_api.json has what 0.33 answered; where an
original of 0.33 or later is at hand ($ALERTMANAGER_PEER), what it answers is compared with that too. To record anew:

    ALERTMANAGER_PEER=... python3 test_alertmanager_api.py record
"""
import http.client
import json
import pathlib
import re
import sys
import tempfile

import harness
import pytest
from alertmanagers import peer_minor, start

CONFIG = """
route:
  receiver: hook
  group_by: [alertname]
  group_wait: 1h
  routes:
  - {receiver: 'a.b', matchers: ['sev=~"x|y"'], continue: true}
  - {receiver: muted, matchers: ['m="1"'], mute_time_intervals: [always]}
time_intervals:
- {name: always, time_intervals: [{}]}
- name: office
  time_intervals:
  - {weekdays: ['monday:friday'], times: [{start_time: '09:00', end_time: '17:00'}], days_of_month: ['-3:-1'],
     months: ['january:march'], years: ['2020:2030'], location: UTC}
inhibit_rules: [{source_matchers: ['src=1'], target_matchers: ['tgt=1'], equal: [job]}]
receivers:
- name: hook
  webhook_configs: [{url: 'http://127.0.0.1:1/', max_alerts: 3}]
- name: a.b
- name: muted
"""
RECORD = pathlib.Path(__file__).with_name("alertmanager_api.json")
JSON = {"Content-Type": "application/json"}
FUTURE, PAST = "2099-01-01T00:00:00Z", "2020-01-01T00:00:00Z"
NOBODY = "00000000-0000-4000-8000-000000000000"
HEADERS = ("content-type", "cache-control", "access-control-allow-origin", "access-control-allow-methods",
           "access-control-allow-headers", "vary", "location", "allow", "x-content-type-options")

# Requests whose answers may differ, in what, and why.
DIFFERS = {
    "GET /": ("all but status", "the page is our own"),
    "GET /favicon.ico": ("all", "the picture is our own; a build without pages has none"),
    "GET /metrics": ("all but status", "test_own_metrics compares the names; the original names how it escapes, and never says Vary"),
    "GET /debug/pprof/": ("body", "the index lists what is here"),
    "GET /debug/pprof/cmdline": ("body", "the command is another"),
    "GET /debug/pprof/threadcreate?debug=1": ("body", "the threads are others"),
    "GET /debug/pprof/profile?seconds=1": ("body", "what is measured is another"),
    "GET /debug/pprof/heap?debug=1": ("all", "there is no heap of Go: 404 says what there is"),
    "GET /debug/pprof/goroutine?debug=1": ("all", "there are no goroutines: 404 says what there is"),
    'POST /api/v2/alerts [null]': ("all", "the original crashes on it and closes the connection"),
    'POST /api/v2/alerts [{"labels":{"a":"b","a":"c"}}]': ("all", "a key twice is refused: which one was meant?"),
}
# What 0.34 does otherwise than those before it, and narthex as it does.
SILENCES_BY_STATE = re.compile(r"/silences\?active=")


def silence(**changes):
    return json.dumps({"matchers": [{"name": "a", "value": "b", "isRegex": False}], "startsAt": PAST, "endsAt": FUTURE,
                       "createdBy": "me", "comment": "c", **changes})


def matcher(name, value, **more):
    return {"name": name, "value": value, "isRegex": False, **more}


def alert(more="", labels='{"a":"b"}'):
    return '[{"labels":' + labels + more + "}]"


def pages():
    yield from (("GET", path) for path in (
        "/", "/favicon.ico", "/metrics", "/api", "/api/", "/api/v2", "/api/v2/", "/api/v2/foo", "/api/v2/swagger.json", "/swagger.json",
        "/api/v1/alerts", "/api/v1/status", "/api/v1/receivers", "/api/v1/silences", "/api/v1/silence/x", "/api/v1/foo", "/assets/x",
        "/assets/", "/index.html", "/-/healthy", "/-/ready", "/-/reload", "/-/foo", "/nothing", "/debug", "/debug/", "/debug/foo",
        "/debug/pprof", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/threadcreate?debug=1",
        "/debug/pprof/profile?seconds=1", "/debug/pprof/heap?debug=1", "/debug/pprof/goroutine?debug=1", "/debug/pprof/foo"))
    for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
        yield from ((method, path) for path in (
            "/", "/favicon.ico", "/metrics", "/assets/x", "/-/healthy", "/-/ready", "/api/v1/alerts", "/api/v2", "/api/v2/alerts",
            "/api/v2/status", "/api/v2/foo", "/debug/pprof/foo", "/nothing") if (method, path) != ("POST", "/api/v2/alerts"))
    yield from (("HEAD", "/-/reload"), ("PUT", "/-/reload"), ("OPTIONS", "/-/reload"), ("POST", "/-/reload"))


def origins():
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        yield method, "/api/v2/silences", None, {"Origin": "http://o"}
    for method in ("GET", "POST", "HEAD", "DELETE", "PUT"):
        for headers in ("", "content-type", "content-type,x-requested-with", "authorization", "Content-Type"):
            ask = {"Origin": "http://o", "Access-Control-Request-Method": method}
            if headers:
                ask["Access-Control-Request-Headers"] = headers
            yield "OPTIONS", "/api/v2/silences", None, ask
    yield "OPTIONS", "/api/v2/silences", None, {"Access-Control-Request-Method": "POST"}
    yield "OPTIONS", "/api/v2/foo", None, {"Origin": "http://o", "Access-Control-Request-Method": "POST"}
    yield "POST", "/api/v2/alerts", "[]", {"Origin": "http://o", **JSON}


# No JSON, or not the JSON that is wanted: the texts are Go's.
UNREADABLE = [
    "{", "[", "[{", '[{"labels"', '[{"labels":', '[{"labels":{', "[}", "[{,}]", "nul", "[1,]", '"abc', '"a\\q"', "1e", "-", "tru", "x", "]",
    "[{]}]", "[1e]", "[-]", "[1.]", "[1.x]", "[01]", "[nulx]", "[trub]", '["\\uzz00"]', "['x']", '["a\nb"]', "[\u00e9]", '{"a":1 2}', "{1:2}",
    '{"a"}', '{"a":}', "[,]", "[1", "[1,", '{"a":1,', '{"a":1,}', "[1 2]", "{}", "{}x", "1", "01", '"x"', "true", "truex", "[1]", "[1]x",
    "[true]", '["x"]', "[[]]", '[{"labels":[]}]', '[{"labels":"x"}]', '[{"labels":1}]', '[{"labels":true}]', '[{"labels":{"a":{}}}]',
    '[{"labels":{"a":[]}}]', '[{"labels":{"a":true}}]', '[{"labels":{"a":1}}]', '[{"labels":{"a":"b","b":1,"c":2}}]',
    '[{"labels":{"a":"b",}}]', '[{"labels":{"a" "b"}}]', '[{"labels":{"a":"b" "c"}}]', '[{labels:1}]', '[{"labels":{"a":"\x01"}}]',
    alert(',"startsAt":5'), alert(',"startsAt":true'), alert(',"endsAt":{}'), alert(',"generatorURL":5'), alert(',"annotations":[]'),
    alert(',"annotations":"x"'), alert(',"annotations":{"x":1}'), alert(',"startsAt":"x"'), alert(',"startsAt":"2020"'),
    alert(',"startsAt":"2020-1-30"'), alert(',"startsAt":"2020-0x"'), alert(',"startsAt":"2020-01-3x"'), alert(',"startsAt":"20x0-01-30"'),
    alert(',"startsAt":"2020-00-01"'), alert(',"startsAt":"2020-13-01T00:00:00Z"'), alert(',"startsAt":"2020-02-30"'),
    alert(',"startsAt":"2020-01-01T25:00:00Z"'), alert(',"startsAt":"2020-01-01T00:00:00+0100"'), alert(',"startsAt":"a\\"b"'),
    '[{"labels":{"a":"b"}},5]', '[{"labels":{"a":1},"annotations":5}]', '[{"labels":{"a":1}},{"labels":{}}]', '[{"labels":{}},{"labels":1}]',
    '[{"annotations":{"x":1},"startsAt":"x"}]', '[{"labels":{"a":1},"generatorURL":5}]', '[{"generatorURL":5,"labels":{"a":1}}]',
]
UNREADABLE_SILENCES = [
    "", "x", "[]", "1", "true", '"x"', "{", '{"matchers":1}', '{"matchers":[1]}', '{"matchers":["x"]}', '{"matchers":{}}',
    '{"matchers":[{"name":1}]}', '{"matchers":[{"name":"a","value":1}]}', '{"matchers":[{"name":"a","value":"b","isRegex":"x"}]}',
    '{"matchers":[{"name":"a","value":"b","isRegex":false,"isEqual":5}]}', '{"id":5}', '{"id":[]}', '{"startsAt":5}', '{"comment":5}',
    '{"comment":true}', '{"createdBy":[]}', '{"createdBy":{}}', '{"annotations":5}', '{"annotations":{"a":5}}', '{"matchers":[',
    '{"comment":"x', '{"a":1,}', '{"startsAt":"x"}', '{"endsAt":"2020"}', '{"startsAt":"2020-01-01T00:00:00.Z"}',
]


def posts():
    yield from (("POST", "/api/v2/alerts", body, JSON) for body in UNREADABLE)
    yield from (("POST", "/api/v2/alerts", body, JSON) for body in (
        "", " ", "null", "[]", "[]x", "[null]", "[{}]", '[{"labels":null}]', '[{"labels":{}}]', '[{"labels":{}},{}]', '[{"labels":{"a":null}}]',
        alert(labels='{"a":""}'), alert(labels='{"":"x"}'), alert(labels='{"a b":"x"}'), alert(labels='{"a":"b","a":"c"}'),
        alert(',"foo":1'), alert(',"annotations":{"x y":"z"}'), alert(',"annotations":{"x":null}'), alert(',"annotations":null'),
        alert(',"startsAt":null'), alert(',"startsAt":""'), alert(',"endsAt":"0001-01-01T00:00:00Z"'),
        alert(',"startsAt":"2099-01-01T00:00:00Z","endsAt":"2020-01-01T00:00:00Z"'), alert(',"generatorURL":""'), alert(',"generatorURL":"::"'),
        alert(',"generatorURL":"x"'), alert(',"generatorURL":"x y"'), alert(',"generatorURL":"/x"'), alert(',"generatorURL":"mailto:x"'),
        alert(',"generatorURL":"http://a b"'), alert(',"generatorURL":"http://[::1"'), alert(',"generatorURL":"http://x/%zz"'),
        alert(',"generatorURL":"http://x:y/"'), alert(',"generatorURL":"1a:b"'), alert(',"generatorURL":"http://[::1]:9/x?y=%zz"'),
        '[{"labels":{"q":"ok"}},{"labels":{}},{"labels":{"a":""}}]', '[{"labels":{"z":"1"},"startsAt":"2020-01-01"}]',
        '[{"labels":{"z":"2"},"startsAt":"2020-01-01 00:00:00"}]', '[{"labels":{"z":"3"},"startsAt":"2020-01-01T00:00"}]',
        '[{"labels":{"z":"4"},"startsAt":"2020-01-01T00:00:00.123+0100"}]'))
    for kind in ("text/plain", "application/json; charset=utf-8", "APPLICATION/JSON", "x"):
        yield "POST", "/api/v2/alerts", "[]", {"Content-Type": kind}
    yield "POST", "/api/v2/silences", silence(), {"Content-Type": "text/plain"}
    yield "POST", "/api/v2/alerts", json.dumps([
        {"labels": {"alertname": "A", "sev": "x", "job": "j", "instance": "2"}, "annotations": {"s": "<&>"},
         "generatorURL": "http://p/g?a=b&c"},
        {"labels": {"alertname": "A", "sev": "x", "job": "j", "instance": "1"}}, {"labels": {"alertname": "A", "job": "a"}},
        {"labels": {"alertname": "M", "m": "1"}}, {"labels": {"alertname": "S", "src": "1", "job": "j"}},
        {"labels": {"alertname": "T", "tgt": "1", "job": "j"}}, {"labels": {"alertname": "T", "tgt": "1", "job": "k"}},
        {"labels": {"alertname": "old"}, "startsAt": PAST, "endsAt": PAST}]), JSON
    yield from (("POST", "/api/v2/silences", body, JSON) for body in UNREADABLE_SILENCES)
    yield from (("POST", "/api/v2/silences", body, JSON) for body in (
        "null", "{}", silence(matchers=[]), silence(matchers=None), silence(matchers=[{"name": "a"}]),
        silence(matchers=[{"name": "a", "value": "b"}]), silence(matchers=[matcher("a", "b"), {"name": "a"}]), silence(matchers=[matcher("", "b")]),
        silence(matchers=[matcher("a", "")]), silence(matchers=[matcher("a", ".*", isRegex=True)]),
        silence(matchers=[matcher("a", "(", isRegex=True)]), silence(matchers=[matcher("never", "", isEqual=False)]), silence(startsAt=None),
        silence(startsAt="", endsAt="2097-01-01T00:00:00Z"), silence(endsAt=""), silence(endsAt=PAST), silence(endsAt=PAST, startsAt=FUTURE), silence(startsAt=FUTURE),
        silence(createdBy=None), silence(comment=None), silence(id="x"), silence(id=NOBODY),
        silence(matchers=[matcher("sev", "x"), matcher("instance", "1")], endsAt="2098-01-01T00:00:00Z")))
    yield "GET", "/api/v2/silence/x"
    yield "GET", "/api/v2/silence/" + NOBODY
    yield "DELETE", "/api/v2/silence/x"
    yield "DELETE", "/api/v2/silence/" + NOBODY
    yield "PUT", "/api/v2/silence/" + NOBODY, "{}", JSON


QUERIES = [
    "", "?active=false", "?silenced=false", "?inhibited=false", "?unprocessed=false", "?active=x", "?active=", "?muted=false", "?receiver=hook",
    "?receiver=hoo", "?receiver=(", "?receiver=a.b", "?filter=x", "?filter=", "?filter=alertname%3DA",
    "?filter=alertname%3D~%22A%7CM%22&filter=job!%3Da", "?filter=job%3D", "?filter=job!%3D", "?filter=%7Ba%3Db%7D",
    "?receiver_matchers=name%3Dhook", "?foo=1", "?active=false&silenced=false&inhibited=false", "?active=FALSE", "?active=1", "?active=0",
    "?filter=alertname%3DA,job%3Da", "?filter=job%3D~%22%22", "?filter=job!~%22%22", "?filter=job!~%22.%2B%22"]


def reads():
    for end in ("receivers", "alerts", "alerts/groups", "silences"):
        yield from (("GET", f"/api/v2/{end}{query}") for query in QUERIES)


def plain(text):
    """Without what no two runs have in common. Methods are listed in any order by the original."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID", text)
    text = re.sub(r'"(updatedAt|startsAt|endsAt|uptime)":"[^"]*"', r'"\1":"T"', text)
    return re.sub(r"but \[([A-Z,]*)\] are", lambda m: "but [" + ",".join(sorted(m[1].split(","))) + "] are", text)


def answer(server, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in {**(headers or {}), **({} if body is None else {"Content-Length": len(body.encode())})}.items():
            connection.putheader(name, value)
        connection.endheaders(None if body is None else body.encode())
        reply = connection.getresponse()
        text = reply.read().decode("utf-8", "replace")
    finally:
        connection.close()
    seen = {name: reply.getheader(name) for name in HEADERS}
    seen["allow"] = seen["allow"] and sorted(re.split(", *", seen["allow"]))
    return reply.status, seen, plain(text)


def all_rows():
    for part in (pages, origins, posts, reads):
        for row in part():
            headers = row[3] if len(row) > 3 and row[3] != JSON else ""
            yield f"{row[0]} {row[1]}" + (f" {row[2]}" if len(row) > 2 and row[2] else "") + (f" {json.dumps(headers)}" if headers else ""), row


def play(server):
    """[what, status, headers, text] of each row that is compared."""
    played = []
    for what, row in all_rows():
        scope, _ = DIFFERS.get(what, ("", ""))
        if scope == "all" or SILENCES_BY_STATE.search(what):
            continue
        status, headers, text = answer(server, *row)
        whole = not scope
        played.append([what, status, {k: v for k, v in headers.items() if v} if whole or scope == "body" else {}, text if whole else ""])
    return played


def first_difference(a, b):
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return f"...{a[max(at - 60, 0):at + 200]}\n    ...{b[max(at - 60, 0):at + 200]}"


def check(played):
    recorded = json.loads(RECORD.read_text())
    for row in recorded:  # a number stands for the text of an earlier row
        row[3] = recorded[row[3]][3] if isinstance(row[3], int) else row[3]
    assert [row[0] for row in played] == [row[0] for row in recorded]
    wrong = [f"{want[0]}\n    {want[1:3]}\n    {got[1:3]}\n    {first_difference(want[3], got[3])}"
             for want, got in zip(recorded, played) if want != got]
    assert not wrong, f"{len(wrong)} of {len(played)} differ\n" + "\n".join(wrong)


def test_answers_are_those_of_the_original(world):
    played = play(start(world, CONFIG))
    for row in played:  # 0.34 gives them with each group
        row[3] = row[3].replace(',"routeLabels":{}', "")
    check(played)


def test_what_was_recorded_is_what_the_original_answers(world):
    if peer_minor() != 33:
        pytest.skip("answers are 0.33's; $ALERTMANAGER_PEER may name one")
    check(play(start(world, CONFIG, original=True)))


@pytest.mark.parametrize("original", [False, True], ids=["narthex", "original"])
def test_connections_of_receivers_are_counted(world, original):
    server = start(world, CONFIG.replace("1h", "0s"), original=original)

    def count(name, **labels):
        rows = re.findall(r"^net_conntrack_dialer_conn_" + name + r"_total{(.*)} (.*)", server.get("/metrics").text, re.M)
        return sum(float(value) for pairs, value in rows if all(f'{k}="{v}"' in pairs for k, v in labels.items()))

    assert count("attempted", dialer_name="webhook") == 0
    server.send("alerts", [{"labels": {"alertname": "A"}}])
    harness.wait_until("a refused connection", lambda: count("failed", dialer_name="webhook", reason="refused") >= 1)
    assert count("attempted", dialer_name="webhook") >= 1
    assert count("established", dialer_name="webhook") == count("closed", dialer_name="webhook") == 0


def record():
    with tempfile.TemporaryDirectory() as folder:
        world = harness.World(pathlib.Path(folder))
        try:
            rows = play(start(world, CONFIG, original=True))
        finally:
            world.close()
    first = {}
    for i, row in enumerate(rows):
        row[3] = row[3] if first.setdefault(row[3], i) == i or len(row[3]) < 100 else first[row[3]]
    RECORD.write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=True) for row in rows) + "\n]\n")


if __name__ == "__main__" and sys.argv[1:] == ["record"]:
    record()
