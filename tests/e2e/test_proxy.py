# SPDX-License-Identifier: Apache-2.0
"""Targets behind proxies, over HTTP and by CONNECT, and what goes past a proxy; HTTP/2 where a target has it."""
import os
import shutil
import subprocess

import pytest

import harness
import http_proxy
from test_scrape import PAGE, certificates, wait_down, wait_up  # noqa: F401 (a fixture)


@pytest.fixture
def proxy():
    one = http_proxy.Proxy()
    yield one
    one.close()


def serve(world, target, lines, environment=None):
    server = world.server(harness.scrape_config(("page", [target.address], lines), interval="500ms"))
    before = dict(os.environ)
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        os.environ.pop(name, None)
    os.environ.update(environment or {})
    try:
        return server.start()
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_plain_targets_are_asked_for_at_the_proxy(world, proxy):
    target = world.target(PAGE)

    wait_up(serve(world, target, f"proxy_url: {proxy.url}"))

    method, asked, head = proxy.asked[0]
    assert (method, asked) == ("GET", f"http://{target.address}/metrics")
    assert "Proxy-Authorization: Basic bWU6d29yZA==" in head


def test_targets_with_tls_are_reached_by_connect(world, proxy, certificates):  # noqa: F811
    target = world.target(PAGE, tls={"cert": certificates / "server.crt", "key": certificates / "server.key"})

    wait_up(serve(world, target, f"scheme: https\ntls_config: {{ca_file: {certificates}/ca.crt}}\nproxy_url: {proxy.url}\n"
                                 "proxy_connect_header: {X-Way: [in]}\nauthorization: {credentials: hush}"))

    method, asked, head = proxy.asked[0]
    assert (method, asked) == ("CONNECT", target.address)
    assert "X-Way: in" in head and "hush" not in head
    assert target.requests[0][1]["Authorization"] == "Bearer hush"
    assert "X-Way" not in target.requests[0][1]


@pytest.mark.parametrize("lines, environment", [
    ("proxy_url: {proxy}\nno_proxy: '127.0.0.0/8'", {}),
    ("proxy_from_environment: true", {"HTTP_PROXY": "{proxy}"}),  # the own machine is never behind it
    ("", {"http_proxy": "{proxy}", "HTTP_PROXY": "{proxy}"}),
])
def test_what_goes_past_the_proxy(world, proxy, lines, environment):
    target = world.target(PAGE)

    wait_up(serve(world, target, lines.format(proxy=proxy.url),
                  {name: value.format(proxy=proxy.url) for name, value in environment.items()}))

    assert not proxy.asked


def test_the_environment_names_a_proxy(world, proxy):
    target = world.target(PAGE)
    target.address = f"some.invalid:{target.port}"

    server = serve(world, target, "proxy_from_environment: true", {"HTTP_PROXY": proxy.url})

    harness.wait_until("the proxy to be asked", lambda: proxy.asked)
    assert proxy.asked[0][1] == f"http://some.invalid:{target.port}/metrics"
    wait_down(server)


def test_http2_is_spoken_where_the_target_has_it(world, certificates, tmp_path):  # noqa: F811
    node = shutil.which("node")
    if not node:
        pytest.fail("node is needed for a target with HTTP/2")
    port = harness.free_port()
    script = tmp_path / "h2.js"
    script.write_text("""
const http2 = require("http2"), fs = require("fs");
const [home, port] = process.argv.slice(2);
http2.createSecureServer({key: fs.readFileSync(home + "/server.key"), cert: fs.readFileSync(home + "/server.crt"), allowHTTP1: true},
    (request, response) => {
        response.setHeader("Content-Type", "text/plain; version=0.0.4");
        response.end(`version{number="${request.httpVersion}"} 1\\n`);
    }).listen(+port, "127.0.0.1");
""")
    listener = subprocess.Popen([node, str(script), str(certificates), str(port)])
    try:
        jobs = [(name, [f"127.0.0.1:{port}"],
                 f"scheme: https\nenable_http2: {on}\ntls_config: {{ca_file: {certificates}/ca.crt}}")
                for name, on in (("two", "true"), ("one", "false"))]
        server = world.server(harness.scrape_config(*jobs, interval="500ms")).start()

        harness.wait_until("both", lambda: len(server.query("version")) == 2, 60)

        assert server.query('version{job="two", number="2.0"}')
        assert server.query('version{job="one", number="1.1"}')
    finally:
        listener.kill()
        listener.wait()
