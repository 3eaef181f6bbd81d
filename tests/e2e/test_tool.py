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
    assert shown.stdout == "scalar: 2 @[1.5]\n", shown.stderr
    assert target.requests[-1][1]["X-Scope"] == "tenant"


# ---- check healthy, check ready -----------------------------------------------------------------


def test_health_of_a_server_is_its_exit_status(tool, filled):
    server, _ = filled

    for command in ("healthy", "ready"):
        assert tool("check", command, f"--url={server.url}").returncode == 0
        assert tool("check", command, f"--url={server.url}/").returncode == 0
        assert tool("check", command, "--url=http://127.0.0.1:1").returncode == 1
        shown = tool("check", command, f"--url={server.url}/graph")
        assert shown.returncode == 1 and "status=404" in shown.stderr
