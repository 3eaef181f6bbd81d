# SPDX-License-Identifier: Apache-2.0
"""narthex as amtool: each command against an Alertmanager, and the same by the original amtool; both must say the same."""
import json
import os
import re
import subprocess

import alertmanagers
from test_alertmanager import amtool, reads_new_configurations

CONFIG = """\
route:
  receiver: a
  group_by: [job]
  routes:
  - matchers: ['job="x"']
    receiver: b
    continue: true
    routes:
    - {matchers: ['sev=~"a|b"'], receiver: 'c c'}
  - {match_re: {job: 'x.*'}, receiver: a}
receivers: [{name: a}, {name: b}, {name: 'c c'}]
"""
SILENCES = [{"comment": "c", "createdBy": "b", "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z",
             "matchers": [{"name": "a", "value": "b", "isRegex": False}]},
            {"id": "00000000-0000-0000-0000-000000000001", "comment": "gone", "createdBy": "b", "startsAt": "2026-01-01T00:00:00Z",
             "endsAt": "2098-01-01T00:00:00Z", "matchers": [{"name": "a", "value": "b", "isRegex": True, "isEqual": False}]}]

# Commands in order; %ID is the id of the first silence that was added. Those that only later versions of amtool know say so.
COMMANDS = [
    ["alert", "add", "foo", "node=bar", "--annotation=summary=hi", "--annotation", "x=a b"],
    ["alert", "add", "alertname=two", 'node="<é>"', "--generator-url", "http://x/y", "--start", "2026-01-01T00:00:00Z",
     "--end", "2099-01-01T00:00:00+02:00"],
    ["alert", "add", "foo", "node=~bar"], ["alert", "add", "foo", "--annotation", "a!=b"], ["alert", "add", "foo", "--start", "x"],
    ["alert", "add"],
    ["alert"], ["alert", "query"], ["alert", "foo"], ["alert", "query", "-a", "two"], ["alert", "-o", "extended"],
    ["-o", "json", "alert", "query", "two"], ["alert", "query", "node!=bar", "alertname=~t.*"], ["alert", "query", "-s"],
    ["alert", "query", "-i"], ["alert", "query", "-u"], ["alert", "query", "--receiver", "a|b"], ["alert", "-r", "nobody"],
    ["alert", "query", "-r", "("], ["alert", "one", "two"], ["alert", "query", "--date.format=Jan _2 15h", "two"],
    ["silence", "add", "foo"], ["silence", "add", "foo", "-c", "x", "-d", "0s"], ["silence", "add", "foo", "-c", "x", "-d", "x"],
    ["silence", "add", "-c", "x"], ["silence", "add", "foo", "oops", "-c", "x"],
    ["silence", "add", "foo", "-c", "x", "--start", "2030-01-01T00:00:00Z", "--end", "2029-01-01T00:00:00Z"],
    ["silence", "add", "foo", "bar=~baz", 'q!~"a b"', "z!=1", "-c", "why, <so>", "-a", "me", "-d", "2h", "--annotation=a=b"],
    ["silence", "add", "later", "-c", "later", "-a", "you", "--start", "2030-01-01T00:00:00Z", "--end", "2030-01-02T00:00:00Z"],
    ["silence"], ["silence", "query"], ["silence", "-o", "extended"], ["silence", "query", "-q"], ["silence", "foo"],
    ["silence", "query", "-o", "json", "later"], ["silence", "query", "bar=~baz"], ["silence", "query", "--created-by", "me"],
    ["silence", "query", "--id", "%ID"], ["silence", "query", "--within", "3h"], ["silence", "query", "--expired"],
    ["silence", "query", "--within", "x"], ["silence", "update"], ["silence", "update", "00000000-0000-0000-0000-000000000000"],
    ["silence", "update", "%ID", "-c", "new", "-d", "5h"], ["silence", "update", "%ID", "-d", "0s"],
    ["silence", "update", "%ID", "-o", "json", "--end", "2040-01-01T00:00:00Z"],
    ["alert", "query", "-s"], ["silence", "expire"], ["silence", "expire", "00000000-0000-0000-0000-000000000000"],
    ["silence", "expire", "%ID"], ["silence", "query", "--expired"], ["silence", "query", "--expired", "--within", "1h", "-q"],
    ["silence", "import", "silences.json"], ["silence", "import", "-f", "-w", "1", "silences.json"], ["silence", "import", "broken.json"],
    ["silence", "import", "none.json"], ["silence", "query", "--created-by", "b"],
    ["check-config", "config.yml"], ["check-config", "with_templates.yml", "broken.yml"], ["check-config", "none.yml"],
    ["config"], ["config", "show"], ["config", "show", "-o", "json"],
    ["config", "routes"], ["config", "routes", "show"], ["config", "routes", "test", "job=x"],
    ["config", "routes", "test", "--tree", "job=x", "sev=a"], ["config", "routes", "test", "--tree", "job=none"],
    ["config", "routes", "test", "job=xy", "--verify.receivers=a"], ["config", "routes", "test", "job=x", "--verify.receivers=a"],
    ["config", "routes", "test", "job"], ["config", "routes", "test", "job=~x"],
    ["config", "routes", "--config.file=config.yml"], ["config", "routes", "test", "--config.file=config.yml", "job=x"],
    ["cluster"], ["cluster", "show", "-o", "extended"], ["cluster", "-o", "json"],
    ["template", "render", "--template.glob=a.tmpl", '--template.text={{ template "x" . }}'],
    ["template", "render", "--template.glob=a.tmpl", '--template.text={{ range .Alerts }}{{ .Fingerprint }}{{ .Status }}{{ .Labels.SortedPairs }}'
     '{{ end }}{{ .Alerts.Firing | len }}{{ .Status }}{{ .GroupLabels }}{{ .CommonAnnotations.Names }}{{ .ExternalURL }}{{ .Receiver }}'],
    ["template", "render", "--template.glob=a.tmpl", "--template.type=html", "--template.data=data.json",
     '--template.text=<p title="{{ .Status }}">{{ range .Alerts }}{{ .Status }} {{ .StartsAt }} {{ .EndsAt }} {{ .Annotations.a }}{{ end }}</p>'],
    ["template", "render", "--template.glob=a.tmpl", '--template.text={{ template "bad" . }}'],
    ["template", "render", "--template.glob=*.none", "--template.text=x{{ .Alerts.Resolved | len }}"],
]
# What old versions of amtool print in other words, or cannot do against newer Alertmanagers.
NEEDS_NEW = {"config", "check-config", "template", "--id"}


def clean(text, server):
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "I" * 36, text)
    text = re.sub(r"20(2[3-9])-\d\d-\d\d([T ])\d\d:\d\d:\d\d(\.\d+)?( UTC|Z)", "TIME", text)
    text = re.sub(r"FAILED: \w+\.yml:\d+:\d+: ", "FAILED: ", text)  # the original does not tell the place
    text = text.replace(server.url, "URL").replace(str(server.directory), "DIR")
    return "\n".join(line.rstrip() for line in text.splitlines() if not line.startswith(("Warning:", "time=")))


def files(world):
    world.write_file("config.yml", CONFIG)
    world.write_file("with_templates.yml", CONFIG + "templates: ['*.tmpl']\n")
    world.write_file("broken.yml", "route: {receiver: nobody}\n")
    world.write_file("silences.json", json.dumps(SILENCES))
    world.write_file("broken.json", "x")
    world.write_file("a.tmpl", '{{ define "x" }}hi {{ .CommonLabels.commonlabelkey1 }}{{ end }}{{ define "bad" }}{{ .Nope }}{{ end }}')
    world.write_file("data.json", json.dumps({"receiver": "r", "status": "odd", "alerts": [
        {"status": "firing", "labels": {"l": "1"}, "annotations": {"a": "<b>&"}, "startsAt": "2020-01-01T00:00:00.5Z",
         "endsAt": "2021-01-01T00:00:00Z"}, {"status": "other"}]}))


def narthex(world, *more):
    environment = dict(os.environ, TZ="UTC", HOME=str(world.directory))
    return lambda server, *arguments: (lambda run: (run.returncode, run.stdout, run.stderr))(subprocess.run(
        [str(world.binary), "tool", f"--alertmanager.url={server.url}", *more, *arguments], capture_output=True, text=True,
        check=False, env=environment, cwd=world.directory))


def original(world):
    def run(server, *arguments):
        before = os.getcwd()
        os.chdir(world.directory)
        try:
            return amtool(server, *arguments)
        finally:
            os.chdir(before)
    return run


def play(tool, server, commands):
    out, silence_id = [], ""
    for command in commands:
        code, text, fault = tool(server, *[silence_id if word == "%ID" else word for word in command])
        if command[:2] == ["silence", "add"] and code == 0 and not silence_id:
            silence_id = text.strip()
        fault = re.sub(r"^(amtool|narthex tool): error: ", "", clean(fault, server)).strip()
        text = clean(text, server)
        if "import" in command:  # workers end in any order
            text, fault = "\n".join(sorted(text.splitlines())), "\n".join(sorted(fault.splitlines()))
        out.append((" ".join(command), code, text, fault))
    return out


# Faults whose sentence is Go's, or the library's for flags: only that there is one must agree.
WORDED_BY_GO = re.compile(r"invalid (duration|character|value)|parsing time|does not exist|no receiver|unmarshal|undefined receiver|"
                          r"time: |Failed to parse labels|bad matcher format|not a valid duration|Labels must be")


def test_each_command_says_what_the_original_says(world):
    """Both tools, each against an original Alertmanager of its own, so that both meet the same."""
    files(world)
    new = reads_new_configurations()
    commands = COMMANDS if new else [[w for w in c if w != "--annotation=a=b"] for c in COMMANDS if not NEEDS_NEW & set(c)]
    theirs = play(original(world), alertmanagers.start(world, CONFIG, original=True, data="theirs"), commands)
    world.servers[-1].stop()
    ours = play(narthex(world), alertmanagers.start(world, CONFIG, original=True, data="ours"), commands)
    assert len(ours) == len(theirs) == len(commands)
    wrong = []
    for one, other in zip(ours, theirs):
        both_worded = one[3] and other[3] and (WORDED_BY_GO.search(other[3]) or not new)
        if one[:3] != other[:3] and not (both_worded and one[1] == other[1]) or (one[3] != other[3] and not both_worded):
            wrong.append(f"{one}\n{other}")
    assert not wrong, "\n\n".join(wrong)


def test_each_command_works_against_narthex(world):
    files(world)
    server = alertmanagers.start(world, CONFIG, name="am")
    rows = play(narthex(world), server, COMMANDS)
    failed = {row[0] for row in rows if row[1]}
    assert {row[0] for row in rows if row[1] not in (0, 1)} == set()
    assert not any("query" in row and "(" not in row and "within x" not in row for row in failed), failed
    by_name = {row[0]: row for row in rows}
    assert "two" in by_name["alert query -a two"][2]
    assert by_name["config routes test job=x"][2] == "b,a"
    assert "silence expire %ID" not in failed and by_name["silence query --expired"][2].count("\n") == 1


def test_a_link_named_amtool_is_amtool(world):
    link = world.directory / "amtool"
    link.symlink_to(world.binary)
    shown = subprocess.run([str(link), "--version"], capture_output=True, text=True, check=True).stdout
    assert shown.startswith("amtool, version 0.")
    refused = subprocess.run([str(link), "check", "config", "x"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1 and refused.stderr.startswith("amtool: error: expected command but got")
    listed = subprocess.run([str(link), "--help"], capture_output=True, text=True, check=True).stdout
    assert "silence expire" in listed and "tsdb" not in listed


def test_defaults_come_from_files(world):
    server = alertmanagers.start(world, CONFIG)
    folder = world.directory / ".config" / "amtool"
    folder.mkdir(parents=True)
    (folder / "config.yml").write_text(f"alertmanager.url: {server.url}\nauthor: the file\ncomment_required: false\noutput: extended\n")
    environment = dict(os.environ, HOME=str(world.directory))

    def tool(*arguments):
        return subprocess.run([str(world.binary), "tool", *arguments], capture_output=True, text=True, check=False, env=environment)
    added = tool("silence", "add", "foo")
    assert added.returncode == 0, added.stderr
    assert tool("silence").stdout.startswith("ID ") and "Updated At" in tool("silence").stdout
    assert "Updated At" not in tool("silence", "-o", "simple").stdout
    assert json.loads(tool("silence", "-o", "json").stdout)[0]["createdBy"] == "the file"
    assert tool("alert", "--alertmanager.url=http://127.0.0.1:1").returncode == 1
    (folder / "config.yml").write_text("output: [a]\n")
    assert "config.yml:1:9" in tool("alert").stderr


def test_a_user_in_the_url_and_a_file_exclude_each_other(world):
    server = alertmanagers.start(world, CONFIG)
    run = narthex(world, "--http.config.file", str(world.write_file("http.yml", "basic_auth: {username: u, password: p}\n")))
    assert run(server, "alert")[0] == 0
    code, _, fault = narthex(world)(type("S", (), {"url": server.url.replace("//", "//u:p@")}), "--http.config.file",
                                    str(world.directory / "http.yml"), "alert")
    assert code == 1 and "exclude each other" in fault
