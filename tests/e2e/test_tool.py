# SPDX-License-Identifier: Apache-2.0
"""narthex as promtool: what it prints is what the original prints, where both have the command."""
import json
import time

import pytest

import harness

ODD = ["NaN", "+Inf", "-Inf"]


@pytest.fixture
def tool(world):
    """Runs narthex through a link named promtool."""
    link = world.directory / "promtool"
    link.symlink_to(world.binary)

    def run(*arguments, stdin=""):
        return harness.subprocess.run([str(link), *map(str, arguments)], input=stdin, cwd=world.directory,
                                      capture_output=True, text=True, timeout=harness.DEADLINE_S, check=False)
    return run


@pytest.fixture
def filled(world):
    """A server with samples at known times: (server, seconds of the newest)."""
    server = world.server("global: {}\n", "--web.enable-remote-write-receiver").start()
    end_s = int(time.time()) // 60 * 60 - 60
    written = []
    for i, labels in enumerate([{}, {"a": "1", "a_b": "3", "b": "4"}, {"path": 'c:\\ "q"\n\u2603<&>'},
                                {"job": "x", "instance": "y"}]):
        written.append(({"__name__": "written", **labels},
                        [(end_s * 1000 - 600_000 + k * 15_000, (k + 1) * 10.0 ** (i * 7 - 9))
                         for k in range(41)]))
    for value in ODD:
        written.append(({"__name__": "odd", "kind": value}, [(end_s * 1000 - 123, float(value))]))
    written.append(({"__name__": "order", "a": "1", "a1": "2", "a_b": "3"}, [(end_s * 1000, 0.1)]))
    reply = server.write(sorted(written, key=lambda one: sorted(one[0].items())))
    assert reply.status in (200, 204), reply.text
    return server, end_s


def same(world, tool, *arguments, stdin=""):
    """Both give the same output and the same status; returns our output."""
    theirs = harness.subprocess.run([harness.original("promtool"), *map(str, arguments)], input=stdin,
                                    cwd=world.directory, capture_output=True, text=True,
                                    timeout=harness.DEADLINE_S, check=False)
    ours = tool(*arguments, stdin=stdin)
    assert ours.stdout == theirs.stdout, (ours.stderr, theirs.stderr)
    assert ours.returncode == theirs.returncode, (ours.stderr, theirs.stderr)
    return ours


# ---- query --------------------------------------------------------------------------------------


@pytest.mark.parametrize("expression", [
    "written", "order", "sort_desc(written)", "odd", "scalar(vector(1.5))", "written[45s]", "{__name__=~'.+'}[1m]",
    "absent(nothing)", "nothing", "sum(written)", "1e300 * written", "written offset 1m", "vector(1e-7)", "(-0) * written",
])
def test_instant_query_prints_what_the_original_prints(world, tool, filled, expression):
    server, end_s = filled

    shown = same(world, tool, "query", "instant", f"--time={end_s}", server.url, expression)

    assert shown.returncode == 0, shown.stderr


@pytest.mark.parametrize("expression", ["written", "rate(written[1m])", "odd", "1", "nothing", "sum(written) by (job)"])
@pytest.mark.parametrize("step", ["15s", "1m30s", "0.5m", None])
def test_range_query_prints_what_the_original_prints(world, tool, filled, expression, step):
    server, end_s = filled
    steps = [f"--step={step}"] if step else []

    shown = same(world, tool, "query", "range", f"--start={end_s - 500}.5", f"--end={end_s}", *steps, server.url, expression)

    assert shown.returncode == 0, shown.stderr


def test_json_output_is_the_data_of_the_api(tool, filled):
    server, end_s = filled

    def numbers(value):
        """The original writes no exponents: 4.1e-08 and 0.000000041 are one."""
        if isinstance(value, list) and len(value) == 2 and isinstance(value[1], str) and value[1] != "text":
            return [value[0], repr(float(value[1]))]
        if isinstance(value, (list, dict)):
            return [numbers(one) for one in value] if isinstance(value, list) else {k: numbers(v) for k, v in value.items()}
        return value

    for expression in ("written", "odd", "order", "written[1m]", "1", '"text"', "nothing"):
        shown = tool("query", "-o", "json", "instant", f"--time={end_s}", server.url, expression)

        assert shown.returncode == 0, shown.stderr
        assert "e-" not in shown.stdout
        assert numbers(json.loads(shown.stdout)) == numbers(server.api("query", query=expression, time=end_s)["result"])


def test_strings_are_printed_though_the_original_cannot(tool, filled):
    server, _ = filled

    assert tool("query", "instant", server.url, '"a string"').stdout == "a string\n"


def test_series_and_labels_print_what_the_original_prints(world, tool, filled):
    server, end_s = filled
    span = [f"--start={end_s - 900}", f"--end={end_s}"]

    for arguments in ([f"--match=written", *span], ["--match=odd", "--match=written{job='x'}"], ["--match=nothing"]):
        same(world, tool, "query", "series", *arguments, server.url)
    for arguments in (["__name__"], ["kind", "--match=odd"], ["path", *span], ["nothing"]):
        same(world, tool, "query", "labels", server.url, *arguments)
    shown = json.loads(tool("query", "--format=json", "labels", server.url, "kind").stdout)
    assert sorted(shown) == sorted(ODD)
    shown = json.loads(tool("query", "series", "-o", "json", "--match=odd", server.url).stdout)
    assert sorted(one["kind"] for one in shown) == sorted(ODD)


@pytest.mark.parametrize("arguments", [
    ["query", "instant", "{url}", "1 +"],
    ["query", "instant", "--time=yesterday", "{url}", "1"],
    ["query", "range", "--start=10", "--end=5", "{url}", "1"],
    ["query", "range", "--start=1", "--end=1000000", "--step=1s", "{url}", "1"],
    ["query", "instant", "http://127.0.0.1:1", "1"],
    ["query", "series", "{url}"],
    ["query", "series", "--match={{", "{url}"],
    ["query", "labels", "{url}"],
])
def test_failing_queries_fail_as_the_originals_do(world, tool, filled, arguments):
    server, _ = filled

    shown = same(world, tool, *[argument.format(url=server.url) for argument in arguments])

    assert shown.returncode == 1
    assert shown.stderr.strip()


def test_server_with_a_password_is_asked_with_an_http_config_file(world, tool):
    page = '{"status":"success","data":{"resultType":"scalar","result":[1.5,"2"]}}'
    target = world.target(page, content_type="application/json", authorization="Bearer secret")
    world.write_file("http/token", "secret\n")
    world.write_file("http/http.yml", "authorization:\n  credentials_file: token\n")

    # The target knows no POST (501), so this is also the way back to GET.
    refused = tool("query", "instant", f"http://{target.address}", "2")
    shown = tool("query", "--http.config.file=http/http.yml", "instant", "--header=X-Scope=tenant", target.address, "2")

    assert refused.returncode == 1 and "client_error: client error: 401" in refused.stderr
    both = tool("query", "--http.config.file=http/http.yml", "instant", f"http://me:secret@{target.address}", "2")

    assert shown.stdout == "scalar: 2 @[1.5]\n", shown.stderr
    assert target.requests[-1][1]["X-Scope"] == "tenant"
    assert both.returncode == 1 and "exclude each other" in both.stderr


# ---- check healthy, check ready -----------------------------------------------------------------


def test_health_of_a_server_is_its_exit_status(tool, filled):
    server, _ = filled

    for command in ("healthy", "ready"):
        assert tool("check", command, f"--url={server.url}").returncode == 0
        assert tool("check", command, f"--url={server.url}/").returncode == 0
        assert tool("check", command, "--url=http://127.0.0.1:1").returncode == 1
        shown = tool("check", command, f"--url={server.url}/graph")
        assert shown.returncode == 1 and "status=404" in shown.stderr


# ---- check metrics ------------------------------------------------------------------------------

PAGE = """\
# HELP foo_ms Help with \\\\ and \\n.
# TYPE foo_ms gauge
foo_ms{fooBar="1",le="2"} 1
foo_ms{fooBar="2"} 2 123
# TYPE httpRequests counter
httpRequests 3
# TYPE lat_seconds histogram
# HELP lat_seconds h
lat_seconds_bucket{le="0.1",a="x"} 1
lat_seconds_bucket{le="+Inf",a="x"} 2
lat_seconds_sum{a="x"} 1.5
lat_seconds_count{a="x"} 2
lat_seconds_bucket{a="y",le="+Inf"} 2
lat_seconds_count{a="y"} 2
# TYPE s_minutes summary
s_minutes{quantile="0.5"} 1
s_minutes_sum 1
s_minutes_count 1
#TYPE a:b counter
a:b 1
# TYPE kb_gauge_total gauge
kb_gauge_total 3
   # HELP only help
# TYPE z_bucket gauge
z_bucket 1
# TYPE z_count gauge
z_count 1
some_millifahrenheit_b 1
some_milliseconds_h_m 1
"""

CLEAN = """\
# HELP one_total One.
# TYPE one_total counter
one_total{a="1"} 1
one_total{a="2"} 1
one_total{a="3"} 1
one_total{a="4"} 1
# HELP size_bytes Sizes.
# TYPE size_bytes histogram
size_bytes_bucket{le="1"} 1
size_bytes_bucket{le="+Inf"} 2
size_bytes_sum 2
size_bytes_count 2
size_bytes_bucket{x="y",le="1"} 1
size_bytes_bucket{x="y",le="+Inf"} 2
size_bytes_sum{x="y"} 2
size_bytes_count{x="y"} 2
# HELP up Up.
# TYPE up gauge
up 1
"""


@pytest.mark.parametrize("page", [
    PAGE, CLEAN, "", "\n\n", "foo 1", "foo 1\n", "foo x\n", "foo 1 \n", 'foo{a="b",} 1\n', 'foo { a = "b" , } 1\n',
    "# HELP foo a\n# HELP foo b\nfoo 1\n", "foo 1\n# TYPE foo gauge\n", "# TYPE foo bad\n", "# TYPE foo gauge \nfoo 1\n",
    "# TYPE foo\nfoo 1\n", "#  foo", "# foo\n", "# HELP foo \\x\nfoo 1\n", 'foo{a="\\x"} 1\n', 'foo{a="x\ny"} 1\n',
    'foo{a="x",a="y"} 1\n', 'foo{__name__="x"} 1\n', 'foo{1a="x"} 1\n', "1foo 1\n", "foo{} 1\n", "foo{,} 1\n", "foo 0x1p-2\n",
    "foo 0x10\n", "foo 1_0\n", 'foo Inf\nfoo{a="1"} nan\nfoo{a="2"} -inf\n', "foo 1 1.5\n", "foo 1 +5\n", "foo\n", "foo", "foo{",
    'foo{a="', 'foo{a="b"', "foo{a", '# TYPE h histogram\nh_bucket{le="x"} 1\n', "# TYPE h HISTOGRAM\nh_count 1\n",
    "# TYPE s summary\ns_count -1\n", '# TYPE s summary\ns{quantile="q"} 1\n',
    "# TYPE s summary\n# TYPE s_count counter\ns_count 1\n", "\tfoo\t1\n", "# HELP 1x y\n", "# HELP foo{ y\nfoo 1\n", "foo,1\n",
])
def test_linting_says_what_the_original_says(world, tool, page):
    theirs = harness.promtool("check", "metrics", stdin=page)

    ours = same(world, tool, "check", "metrics", stdin=page)

    assert ours.stderr == theirs.stderr


def test_cardinality_is_printed_as_the_original_prints_it(world, tool):
    shown = same(world, tool, "check", "metrics", "--extended", stdin=CLEAN)

    assert "size_bytes    8" in shown.stdout
    without_lint = tool("check", "metrics", "--extended", "--lint=none", stdin=PAGE)
    assert without_lint.returncode == 0 and "Total" in without_lint.stdout and not without_lint.stderr
    assert tool("check", "metrics", "--lint=none", stdin=PAGE).returncode == 1


def test_metric_names_of_newer_versions_are_linted(tool):
    shown = tool("check", "metrics", stdin='# HELP "a.b" Text.\n# TYPE "a.b" gauge\n{"a.b","c.d"="e"} 1\n{"a.b",dD="e"} 1\n')

    assert shown.returncode == 3
    assert shown.stderr == "a.b label names should be written in 'snake_case' not 'camelCase'\n"


# ---- check config -------------------------------------------------------------------------------

GOOD_CONFIGS = {
    "empty": "",
    "global": "global:\n  scrape_interval: 15s\n",
    "targets": "scrape_configs:\n- job_name: x\n  static_configs:\n  - targets: [a:1, b:2]\n    labels: {c: d}\n",
    "file targets": "scrape_configs:\n- job_name: x\n  file_sd_configs:\n  - files: [targets/*.yml, targets/*.json, none.json]\n",
    "alertmanagers": "alerting:\n  alertmanagers:\n  - static_configs:\n    - targets: [a:1]\n  - file_sd_configs:\n"
                     "    - files: [none.json, targets/*.yml]\n",
    "relabelling": "scrape_configs:\n- job_name: x\n  static_configs:\n  - targets: [a/b, 'c:1']\n  relabel_configs:\n"
                   "  - {source_labels: [__address__], regex: a/b, action: drop}\n",
    "credentials": "scrape_configs:\n- job_name: x\n  authorization: {credentials_file: token}\n"
                   "  static_configs:\n  - targets: [a:1]\n",
}

BAD_CONFIGS = {
    "unknown field": ("global:\n  scrape_intervall: 15s\n", "bad.yml:2:3"),
    "missing rule file": ("rule_files: [nothing.yml]\n", '"nothing.yml" does not point to an existing file'),
    "missing credentials": ("scrape_configs:\n- job_name: x\n  authorization: {credentials_file: nothing}\n",
                            "error checking authorization credentials or bearer token file"),
    "broken targets": ("scrape_configs:\n- job_name: x\n  file_sd_configs:\n  - files: [broken.yml]\n", "broken.yml:1:3"),
    "broken targets of Alertmanagers": (
        "alerting:\n  alertmanagers:\n  - file_sd_configs:\n    - files: [broken.yml]\n", "broken.yml:1:3"),
    "targets of file discovery that are none": ("scrape_configs:\n- job_name: x\n  file_sd_configs:\n  - files: [slash.yml]\n",
                                                '"a/b" is not a valid hostname'),
    "interval set to nothing by relabelling": (
        "scrape_configs:\n- job_name: x\n  static_configs:\n  - targets: [a:1]\n  relabel_configs:\n"
        "  - {target_label: __scrape_interval__, replacement: never}\n", "error parsing scrape interval"),
}


def config_files(world):
    world.write_file("targets/one.yml", "- targets: [a:1]\n  labels: {x: y}\n- targets: []\n")
    world.write_file("targets/two.json", '[{"targets": ["b:1"], "labels": {"job": "other"}}]')
    world.write_file("broken.yml", "- target: [a:1]\n")
    world.write_file("slash.yml", "- targets: [a/b]\n")
    world.write_file("token", "secret")


@pytest.mark.parametrize("name", GOOD_CONFIGS)
def test_good_configurations_are_found_good_as_by_the_original(world, tool, name):
    config_files(world)
    world.write_file("good.yml", GOOD_CONFIGS[name])

    shown = same(world, tool, "check", "config", "good.yml")
    same(world, tool, "check", "config", "--syntax-only", "good.yml", "good.yml")

    assert shown.returncode == 0


@pytest.mark.parametrize("name", BAD_CONFIGS)
def test_bad_configurations_are_found_bad_as_by_the_original(world, tool, name):
    config_files(world)
    text, want = BAD_CONFIGS[name]
    world.write_file("bad.yml", text)
    world.write_file("good.yml", "")

    shown = same(world, tool, "check", "config", "bad.yml", "good.yml")

    assert shown.returncode == 1
    assert "FAILED" in shown.stderr and want in shown.stderr


def test_syntax_alone_does_not_look_for_files(world, tool):
    world.write_file("bad.yml", "rule_files: [nothing.yml]\nscrape_configs:\n- job_name: x\n"
                                "  authorization: {credentials_file: nothing}\n")

    assert tool("check", "config", "bad.yml").returncode == 1
    assert tool("check", "config", "--syntax-only", "bad.yml").returncode == 0


@pytest.mark.parametrize("key", ["alerting: {}", "rule_files: []", "remote_read: []"])
def test_agents_have_no_rules_and_no_alerts(world, tool, key):
    world.write_file("agent.yml", f"global: {{}}\n{key}\n")

    assert tool("check", "config", "agent.yml").returncode == 0
    shown = tool("check", "config", "--agent", "agent.yml")

    assert shown.returncode == 1
    assert f"agent.yml:2:1: field {key.split(':')[0]} is not allowed in agent mode" in shown.stderr


@pytest.mark.parametrize("flags, status", [
    ([], 0), (["--lint=too-long-scrape-interval"], 0), (["--lint=all", "--lint-fatal"], 3), (["--lint-fatal"], 0),
    (["--lint=none,all", "--lint-fatal"], 0),
    (["--query.lookback-delta=1h", "--lint=too-long-scrape-interval", "--lint-fatal"], 0),
])
def test_long_scrape_intervals_are_a_linters_business(world, tool, flags, status):
    world.write_file("slow.yml", "scrape_configs:\n- job_name: slow\n  scrape_interval: 5m\n")

    shown = tool("check", *flags[:1], *["config", "slow.yml"], *flags[1:]) if "lookback" in " ".join(flags) else \
        tool("check", "config", *flags, "slow.yml")

    assert shown.returncode == status, shown.stderr
    assert ("job: slow, interval: 5m" in shown.stderr) == (status == 3 or flags == ["--lint=too-long-scrape-interval"])


def test_command_tool_and_promtool_are_one(world, tool):
    world.write_file("good.yml", "")

    linked = tool("check", "config", "good.yml")
    named = world.run("tool", "check", "config", "good.yml")

    assert (linked.returncode, linked.stdout) == (named.returncode, named.stdout)
    assert "narthex tool check config" in world.run("tool", "check", "config", "--help").stdout
    assert "promtool check config" in tool("check", "config", "--help").stdout


@pytest.mark.parametrize("words, about", [
    ((), "Checks, queries and unit tests from the command line."),
    (("tsdb",), "Run tsdb commands."),
    (("tsdb", "list"), "List tsdb blocks."),
    (("silence",), "Add, expire or view silences."),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_help_is_headed_by_what_was_asked_for(world, words, about):
    assert world.run("tool", *words, "--help").stdout.splitlines()[2] == about


@pytest.mark.parametrize("words, shown, hidden", [
    (("tsdb", "dump"), "--match", "--alertmanager.url"), (("tsdb",), "--enable-feature", "--alertmanager.url"),
    (("silence", "add"), "--alertmanager.url", "--experimental"), (("silence",), "--alertmanager.url", "--experimental")])
def test_help_has_only_the_flags_of_its_program(world, words, shown, hidden):
    page = world.run("tool", *words, "--help").stdout.replace("--[no-]", "--")
    assert page.count(f" {shown}=") == 1
    assert hidden not in page


# ---- check service-discovery --------------------------------------------------------------------


def test_discovery_shows_targets_before_and_after_relabelling(world, tool):
    config_files(world)
    world.write_file("sd.yml", """\
scrape_configs:
- job_name: other
- job_name: found
  params: {module: [x]}
  static_configs:
  - targets: [b:1, a:7, gone, b:1]
    labels: {from: "static<>"}
  relabel_configs:
  - {source_labels: [__address__], regex: gone, action: drop}
  - {source_labels: [__address__], regex: 'a:.*', target_label: short, replacement: a}
""")
    newer = {"__scrape_native_histograms__", "__convert_classic_histograms_to_nhcb__", "__always_scrape_classic_histograms__"}

    def results(shown):
        assert shown.returncode == 0, shown.stderr
        found = []
        for one in json.loads(shown.stdout):
            found.append([sorted((k, v) for k, v in one.get(key, {}).items() if k not in newer)
                          for key in ("discoveredLabels", "labels")])
        return sorted(found)

    theirs = harness.subprocess.run([harness.original("promtool"), "check", "service-discovery", "--timeout=5s", "sd.yml", "found"],
                                    cwd=world.directory, capture_output=True, text=True, check=False)
    ours = tool("check", "service-discovery", "sd.yml", "found")

    assert results(ours) == results(theirs)
    world.write_file("bad.yml", "scrape_configs:\n- job_name: b\n  static_configs: [{targets: [a/b]}]\n"
                                "  relabel_configs: [{target_label: x, replacement: y}]\n")
    bad = json.loads(tool("check", "service-discovery", "bad.yml", "b").stdout)
    assert bad[0]["error"] == '"a/b" is not a valid hostname' and bad[0]["discoveredLabels"]["__address__"] == "a/b"
    # The original closes its channel before file discovery is done.
    world.write_file("files.yml", "scrape_configs:\n- job_name: f\n  file_sd_configs:\n  - files: [targets/*.yml, targets/*.json]\n")
    listed = json.loads(tool("check", "service-discovery", "files.yml", "f").stdout)
    assert [one["labels"]["instance"] for one in listed] == ["a:1", "b:1"]
    assert [one["labels"]["job"] for one in listed] == ["f", "other"]
    assert listed[0]["discoveredLabels"]["__meta_filepath"] == "targets/one.yml"
    # The layout.
    world.write_file("one.yml", "scrape_configs:\n- job_name: x\n  static_configs:\n  - targets: [gone]\n  relabel_configs: [{action: drop}]\n")
    assert tool("check", "service-discovery", "one.yml", "x").stdout.splitlines()[-4:] == ["    },", '    "labels": {}', "  }", "]"]
    missing = tool("check", "service-discovery", "sd.yml", "nothing")
    assert missing.returncode == 1 and "\tother\n\tfound\n" in missing.stderr


# ---- check web-config ---------------------------------------------------------------------------

HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"


@pytest.mark.parametrize("text, good", [
    ("", True),
    (f"basic_auth_users: {{me: {HASH}}}\n", True),
    ("basic_auth_users: {me: secret}\n", False),
    ("tls_server_config: {cert_file: tls/cert.pem, key_file: tls/key.pem}\n", True),
    ("tls_server_config: {cert_file: tls/cert.pem, key_file: tls/other.pem}\n", False),
    ("tls_server_config: {cert_file: tls/cert.pem, key_file: tls/none.pem}\n", False),
    ("tls_server_config: {cert_file: tls/cert.pem}\n", False),
    ("tls_server_config: {cert_file: tls/cert.pem, key_file: tls/key.pem, min_version: TLS13, curve_preferences: [X25519]}\n", True),
    ("tls_server_config: {cert_file: tls/cert.pem, key_file: tls/key.pem, min_version: TLS9}\n", False),
    ("tls_server_config: {cert_file: tls/cert.pem, key_file: tls/key.pem, client_ca_file: tls/cert.pem}\n", False),
    ("tls_server_config: {cert_file: tls/cert.pem, key_file: tls/key.pem, client_ca_file: tls/cert.pem, "
     "client_auth_type: RequireAndVerifyClientCert}\n", True),
    ("http_server_config: {http2: false, headers: {X-Frame-Options: deny}}\n", True),
    ("http_server_config: {headers: {X-Frame-Options: allow}}\n", False),
    ("http_server_config: {headers: {Server: x}}\n", False),
    ("tls: {}\n", False),
])
def test_web_configurations_are_judged_as_by_the_original(world, tool, text, good):
    (world.directory / "tls").mkdir()
    for name in ("key", "other"):
        harness.subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                                "-keyout", f"tls/{name}.pem", "-out", f"tls/cert{'' if name == 'key' else '2'}.pem",
                                "-days", "2", "-subj", "/CN=localhost"],
                               cwd=world.directory, check=True, capture_output=True)
    world.write_file("web.yml", text)

    shown = same(world, tool, "check", "web-config", "web.yml")

    assert (shown.returncode == 0) == good
    assert shown.stderr.startswith("web.yml SUCCESS" if good else "web.yml FAILED: ")


# ---- promql -------------------------------------------------------------------------------------


def test_queries_are_formatted_and_edited(tool):
    formatted = tool("--experimental", "promql", "format", "sum by(a) (rate(b[5m]))")
    edited = tool("promql", "label-matchers", "--experimental", "set", "-t", "=~", 'a / on (x) b{job="c"}', "job", "d|e")
    deleted = tool("promql", "label-matchers", "delete", 'a{job="b",c="d"}', "job", "--experimental")

    assert formatted.stdout == "sum by (a) (rate(b[5m]))\n"
    assert edited.stdout == 'a{job=~"d|e"} / on (x) b{job=~"d|e"}\n'
    assert deleted.stdout == 'a{c="d"}\n'
    refused = tool("promql", "format", "up")
    assert refused.returncode == 1 and "requires the --experimental flag" in refused.stderr
    assert tool("--experimental", "promql", "format", "1 +").returncode == 1


# ---- push metrics -------------------------------------------------------------------------------


@pytest.mark.parametrize("peer, message", [
    ("narthex", "prometheus.WriteRequest"), ("narthex", "io.prometheus.write.v2.Request"), ("original", "prometheus.WriteRequest"),
])
def test_pushed_metrics_can_be_asked_for(world, tool, message, peer):
    server = (world.server("global: {}\n", "--web.enable-remote-write-receiver") if peer == "narthex" else
              world.prometheus("global: {}\n", "--web.enable-remote-write-receiver")).start()
    page = world.write_file("page.prom", CLEAN + "# TYPE quantiles summary\n" 'quantiles{quantile="0.5"} 1.5\nquantiles_sum 3\n'
                            'quantiles_count 2\nplain{job="own",snow="\u2603"} -1.5\n# TYPE short histogram\nshort_count 4\n')

    shown = tool("push", "metrics", f"--protobuf_message={message}", "--label=job=pushed", "--label=by:test", server.url, page)
    again = tool("push", "metrics", f"--protobuf_message={message}", server.url + "/api/v1/write", stdin="only 7\n")

    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == f"Parsing metrics file {page}\n  SUCCESS: metrics file {page} pushed to remote write.\n"
    assert again.stdout == "Parsing standard input\n  SUCCESS: metrics pushed to remote write.\n", again.stderr
    found = server.query('{by="test"}')
    common = 'by="test",'
    assert found[f'one_total{{a="1",{common}job="pushed"}}'] == "1"
    assert found[f'size_bytes_bucket{{{common}job="pushed",le="+Inf",x="y"}}'] == "2"
    assert found[f'quantiles{{{common}job="pushed",quantile="0.5"}}'] == "1.5"
    assert found[f'plain{{{common}exported_job="own",job="pushed",snow="\u2603"}}'] == "-1.5"
    assert found[f'short_bucket{{{common}job="pushed",le="+Inf"}}'] == "4"
    assert len(found) == 4 + 8 + 1 + 3 + 1 + 3
    assert server.query("only") == {'only{job="promtool"}': "7"}


def test_refused_metrics_are_told(world, tool):
    server = world.server("global: {}\n").start()

    shown = tool("push", "metrics", server.url, stdin="up 1\n")
    broken = tool("push", "metrics", server.url, stdin="up one\n")

    assert shown.returncode == 1 and "FAILED: server returned HTTP status 404" in shown.stderr
    assert broken.returncode == 1 and 'line 1: expected float as value, got "one"' in broken.stderr


# ---- debug --------------------------------------------------------------------------------------


def test_debug_archive_holds_what_the_server_offers(world, tool, filled):
    server, _ = filled
    target = world.target("metric 1\n")

    ours = tool("debug", "all", server.url)
    names = harness.subprocess.run(["tar", "tzf", "debug.tar.gz"], cwd=world.directory, capture_output=True, text=True, check=True)
    theirs = tool("debug", "pprof", f"http://{target.address}")
    none = tool("debug", "pprof", f"{server.url}/nothing")

    assert ours.returncode == 0, ours.stderr
    assert names.stdout.splitlines() == ["cpu.pb", "threadcreate.pb", "metrics.txt"]
    assert "no /debug/pprof/heap (status 404)" in ours.stderr
    assert none.returncode == 1 and "the server has none of these pages" in none.stderr
    assert theirs.returncode == 0
    listed = harness.subprocess.run(["tar", "xzOf", "debug.tar.gz", "heap.pb"], cwd=world.directory, capture_output=True, text=True, check=True)
    assert listed.stdout == "metric 1\n"


# ---- query analyze ------------------------------------------------------------------------------


def test_buckets_in_use_are_counted(world, tool):
    server = world.server("global: {}\n", "--web.enable-remote-write-receiver").start()
    end_s = int(time.time()) // 60 * 60 - 60
    written = []
    for le, factor in (("1", 1), ("2", 1), ("+Inf", 2)):
        written.append(({"__name__": "h_bucket", "le": le, "x": "y"},
                        [(end_s * 1000 - 60_000 + k * 15_000, k * factor) for k in range(4)]))
    assert server.write(written).status in (200, 204)

    shown = tool("query", "analyze", f"--server={server.url}", "--type=histogram", "--duration=5m", f"--time={end_s}",
                 "--match=h_bucket")

    assert shown.returncode == 0, shown.stderr
    assert '- h_bucket{x="y"} (classic): 0/1.500/2/3\n' in shown.stdout
    assert shown.stdout.endswith("Classic histogram series (1 in total):\n- min populated: 0/0.000/0\n"
                                 "- avg populated: 1/1.000/1\n- max populated: 2/2.000/2\n- total: 3/3.000/3\n")
    assert tool("query", "analyze", f"--server={server.url}", "--type=gauge", "--match=h").returncode == 1
    assert "required flag --match" in tool("query", "analyze", f"--server={server.url}", "--type=histogram").stderr


NATIVE = {"status": "success", "data": {"resultType": "matrix", "result": [{
    "metric": {"__name__": "native", "a": "b"},
    "histograms": [
        [1.5, {"count": "3", "sum": "4.5", "buckets": [[3, "-0.001", "0.001", "1"], [0, "1", "2", "2"]]}],
        [16.5, {"count": "5", "sum": "NaN", "buckets": [[0, "1", "2", "4"], [1, "-2", "-1", "0.5"], [2, "4", "+Inf", "0.5"]]}],
    ]}]}}


def test_native_histograms_are_printed_and_counted(world, tool):
    target = world.target(json.dumps(NATIVE), content_type="application/json")

    plain = tool("query", "instant", target.address, "native[1m]")
    encoded = tool("query", "instant", "-ojson", target.address, "native[1m]")
    counted = tool("query", "analyze", f"--server={target.address}", "--type=histogram", "--match=native")

    assert plain.stdout == ('native{a="b"} =>\n'
                            "Count: 3.000000, Sum: 4.500000, Buckets: [[-0.001,0.001]:1 (1,2]:2] @[1.5]\n"
                            "Count: 5.000000, Sum: NaN, Buckets: [(1,2]:4 [-2,-1):0.5 (4,+Inf):0.5] @[16.5]\n")
    assert json.loads(encoded.stdout) == NATIVE["data"]["result"]
    assert '- native{a="b"} (native): 2/2.500/3/4\n' in counted.stdout


def test_password_in_the_url_is_shown_to_the_server(world, tool):
    page = '{"status":"success","data":{"resultType":"scalar","result":[1.5,"2"]}}'
    target = world.target(page, content_type="application/json", authorization="Basic bWU6cEBzcw==")

    shown = tool("query", "instant", f"http://me:p%40ss@{target.address}/", "2")

    assert shown.stdout == "scalar: 2 @[1.5]\n", shown.stderr
