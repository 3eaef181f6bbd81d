# SPDX-License-Identifier: Apache-2.0
"""Scraping: what is asked of a target, how it is trusted, and what is said when it goes away."""
import base64
import http.server
import itertools
import json
import socketserver
import subprocess
import threading
import time

import pytest

import harness

PAGE = "# TYPE answer gauge\nanswer 42\n"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, a server certificate for 127.0.0.1 and a client certificate, made by openssl."""
    home = tmp_path_factory.mktemp("certificates")

    def openssl(*words):
        subprocess.run([harness.original("openssl"), *words], cwd=home, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key",
            "-out", "ca.crt")
    (home / "san").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for name in ("server", "client"):
        openssl("req", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                "-CAcreateserial", "-extfile", "san", "-out", f"{name}.crt")
    return home


def health(server):
    """The only target: (health, last error)."""
    targets = server.targets()
    assert len(targets) == 1
    return targets[0]["health"], targets[0]["lastError"]


def wait_up(server):
    harness.wait_until("the target to be up", lambda: health(server)[0] == "up")


def wait_down(server, *reasons):
    """Until the target is down for one of these reasons: on a busy machine a visit may be too late first."""
    def seen():
        state, problem = health(server)
        return problem if state == "down" and (not reasons or any(reason in problem for reason in reasons)) else None
    return harness.wait_until(f"the target to be down: {' or '.join(reasons)}", seen)


def serving(world, target, lines="", interval="2s", **options):
    job = ("page", [target.address]) + ((lines,) if lines else ())
    return world.server(harness.scrape_config(job, interval=interval), **options).start()


def test_request_is_that_of_the_original(world):
    target = world.target(PAGE)

    wait_up(serving(world, target, "params:\n  module: [a, b]\nmetrics_path: /probe"))

    path, headers = target.requests[0]
    headers = {name.lower(): value for name, value in headers.items()}
    assert path == "/probe?module=a&module=b"
    assert "text/plain" in headers["accept"] and "application/openmetrics-text" in headers["accept"]
    assert headers["accept-encoding"] == "gzip"
    assert headers["x-prometheus-scrape-timeout-seconds"] == "2"
    assert headers["user-agent"]


class UnixTarget:
    """Serves one page on a Unix socket."""

    def __init__(self, path, page):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page.encode())

            def log_message(self, *_):
                pass

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

            def get_request(self):
                connection, _ = self.socket.accept()
                return connection, ("unix", 0)

        self.server = Server(str(path), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def test_targets_behind_sockets_are_told_apart(world, tmp_path):
    sockets = {name: UnixTarget(tmp_path / name, f"answer{{of=\"{name}\"}} 1\n") for name in ("a", "b")}
    jobs = "".join(f"""
- job_name: {name}
  static_configs:
  - targets: [{address}]
    labels: {{__unix_socket__: {tmp_path / name}}}
""" for name, address in (("a", "same:80"), ("b", "same:80")))
    jobs += f"""
- job_name: without address
  static_configs:
  - targets: [x]
    labels: {{__unix_socket__: {tmp_path / "a"}}}
  relabel_configs:
  - {{target_label: __address__, replacement: ''}}
"""
    server = world.server("global: {scrape_interval: 200ms}\nscrape_configs:" + jobs).start()

    harness.wait_until("all three", lambda: len(server.query("answer")) == 3)
    rows = [row["metric"] for row in server.api("query", query="answer")["result"]]
    got = sorted((labels["job"], labels["of"], labels.get("instance")) for labels in rows)
    assert got == [("a", "a", "same:80"), ("b", "b", "same:80"), ("without address", "a", None)]
    urls = {target["labels"]["job"]: target["scrapeUrl"] for target in server.targets()}
    assert urls["without address"] == "http://localhost/metrics"
    for one in sockets.values():
        one.close()


def test_compressed_page_is_read(world):
    server = serving(world, world.target(PAGE, compressed=True))

    wait_up(server)

    assert list(server.query("answer").values()) == ["42"]


def test_openmetrics_is_read(world):
    page = '# TYPE hits counter\nhits_total{a="b"} 7 # {trace_id="x"} 1\n# EOF\n'
    server = serving(world, world.target(
        page, content_type="application/openmetrics-text; version=1.0.0; charset=utf-8"))

    wait_up(server)

    assert list(server.query("hits_total").values()) == ["7"]


@pytest.mark.parametrize("lines, right", [
    ("basic_auth:\n  username: ada\n  password: byron", "up"),
    ("basic_auth:\n  username: ada\n  password_file: password", "up"),
    ("basic_auth:\n  username: ada\n  password: wrong", "down"),
    ("", "down"),
])
def test_basic_auth_decides(world, lines, right):
    world.write_file("password", "byron\n")
    wanted = "Basic " + base64.b64encode(b"ada:byron").decode()
    server = serving(world, world.target(PAGE, authorization=wanted), lines)

    if right == "up":
        wait_up(server)
    else:
        wait_down(server, "401")


def test_bearer_token_is_sent(world):
    server = serving(world, world.target(PAGE, authorization="Bearer sesame"),
                     "authorization:\n  credentials: sesame")

    wait_up(server)


def tls_of(certificates, **more):
    return {"cert": certificates / "server.crt", "key": certificates / "server.key", **more}


def test_tls_with_the_right_authority(world, certificates):
    server = serving(world, world.target(PAGE, tls=tls_of(certificates)),
                     f"scheme: https\ntls_config:\n  ca_file: {certificates}/ca.crt")

    wait_up(server)


def test_tls_without_the_authority_is_refused(world, certificates):
    server = serving(world, world.target(PAGE, tls=tls_of(certificates)), "scheme: https")

    wait_down(server, "certificate", "x509")

    assert list(server.query("up").values()) == ["0"]


def test_tls_unchecked_on_request(world, certificates):
    server = serving(world, world.target(PAGE, tls=tls_of(certificates)),
                     "scheme: https\ntls_config:\n  insecure_skip_verify: true")

    wait_up(server)


def test_client_certificate_is_shown(world, certificates):
    target = world.target(PAGE, tls=tls_of(certificates, client_ca=certificates / "ca.crt"))
    server = serving(world, target, f"scheme: https\ntls_config:\n  ca_file: {certificates}/ca.crt\n"
                     f"  cert_file: {certificates}/client.crt\n  key_file: {certificates}/client.key")

    wait_up(server)


def test_gone_target_is_stale_at_once(world):
    target = world.target(PAGE)
    server = serving(world, target)
    harness.wait_until("a sample", lambda: server.query("answer"))

    target.close()

    harness.wait_until("up to be 0", lambda: list(server.query("up").values()) == ["0"])
    # Long before the five minutes for which an unmarked sample would still be shown.
    assert not server.query("answer")


def test_target_that_left_the_list_is_stale_soon(world):
    first, second = world.target("which 1\n"), world.target("which 2\n")
    server = world.server(harness.scrape_config(("page", [first.address, second.address])),
                          "--web.enable-lifecycle").start()
    harness.wait_until("both", lambda: len(server.query("which")) == 2)

    world.write_file(f"{server.name}.yml", harness.scrape_config(("page", [second.address])))
    assert server.reload().status == 200

    # The original waits two intervals for a target that may come back, then writes the markers.
    harness.wait_until("one to go", lambda: list(server.query("which").values()) == ["2"])
    assert len(server.query("up")) == 1


def test_series_that_left_the_page_is_stale_at_once(world):
    target = world.target("stays 1\nleaves 1\n")
    server = serving(world, target)
    harness.wait_until("both", lambda: server.query("stays") and server.query("leaves"))

    target.page = "stays 1\n"

    harness.wait_until("one to leave", lambda: not server.query("leaves"))
    assert server.query("stays")


def test_broken_page_is_a_failed_scrape(world):
    target = world.target("good 1\nbad{ 2\n")
    server = serving(world, target)

    wait_down(server, "parse", "expected")

    assert not server.query("good")


def test_sample_limit_fails_the_scrape(world):
    target = world.target("".join(f"m{i} 1\n" for i in range(11)))
    server = serving(world, target, "sample_limit: 10")

    wait_down(server, "sample limit")

    assert not server.query("m1")


def test_slow_target_is_a_timeout(world):
    def slow():
        time.sleep(3)
        return PAGE
    server = serving(world, world.target(slow), interval="1s")

    wait_down(server, "deadline", "timeout", "timed out")


def test_relabelling_of_targets_and_samples(world):
    target = world.target('kept{secret="s",code="200"} 1\ndropped 2\n')
    server = serving(world, target, """\
relabel_configs:
  - source_labels: [__address__]
    regex: "127.0.0.1:(.*)"
    replacement: "port-$1"
    target_label: instance
metric_relabel_configs:
  - source_labels: [__name__]
    regex: dropped
    action: drop
  - regex: secret
    action: labeldrop""")
    harness.wait_until("a sample", lambda: server.query("kept"))

    found = server.query("kept")

    assert list(found) == [f'kept{{code="200",instance="port-{target.port}",job="page"}}']
    assert not server.query("dropped")
    assert list(server.query("scrape_samples_scraped").values()) == ["2"]
    assert list(server.query("scrape_samples_post_metric_relabeling").values()) == ["1"]


@pytest.mark.parametrize("honor, wanted", [
    ("false", 'm{exported_job="mine",instance="ADDRESS",job="page"}'),
    ("true", 'm{instance="ADDRESS",job="mine"}'),
])
def test_labels_in_conflict(world, honor, wanted):
    target = world.target('m{job="mine"} 1\n')
    server = serving(world, target, f"honor_labels: {honor}")
    harness.wait_until("a sample", lambda: server.query("m"))

    assert list(server.query("m")) == [wanted.replace("ADDRESS", target.address)]


def test_file_sd_is_watched(world):
    first, second = world.target("which 1\n"), world.target("which 2\n")
    found = world.write_file("targets.json", json.dumps(
        [{"targets": [first.address], "labels": {"origin": "file"}}]))
    config = ("global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n"
              "scrape_configs:\n  - job_name: files\n    file_sd_configs:\n"
              f"      - files: ['{found}']\n        refresh_interval: 1s\n")
    server = world.server(config).start()
    harness.wait_until("the first", lambda: server.query('which{origin="file"} == 1'))

    world.write_file("targets.json", json.dumps([{"targets": [second.address]}]))

    harness.wait_until("the second", lambda: server.query("which == 2"))
    harness.wait_until("the first to go", lambda: not server.query("which == 1"))


def test_metadata_is_kept(world):
    server = serving(world, world.target("# HELP answer The answer.\n# TYPE answer gauge\nanswer 42\n"))
    wait_up(server)

    metadata = harness.wait_until("metadata", lambda: server.api("metadata", metric="answer"))

    assert metadata["answer"] == [{"type": "gauge", "help": "The answer.", "unit": ""}]


def test_failed_scrapes_are_logged_in_a_file_that_may_be_moved_away(world):
    port = harness.free_port()
    path = world.directory / "failures.log"
    server = world.server(harness.scrape_config(("down", [f"127.0.0.1:{port}"]), interval="500ms",
                                                extra=f"  scrape_failure_log_file: {path}"),
                          "--web.enable-lifecycle").start()

    def lines():
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    first = harness.wait_until("a line", lines)[0]
    path.rename(path.with_suffix(".old"))
    assert server.reload().status == 200

    assert first["level"] == "ERROR" and first["job_name"] == "down"
    assert first["target"] == f"http://127.0.0.1:{port}/metrics"
    assert "connection refused" in first["msg"]
    harness.wait_until("a line in the new file", lines)


HISTOGRAM_PAGE = """# TYPE h histogram
h_bucket{le="1"} 3
h_bucket{le="+Inf"} 5
h_sum 12
h_count 5
"""


def test_classic_histograms_become_native_ones_on_request(world):
    target = world.target(HISTOGRAM_PAGE)
    server = serving(world, target, "convert_classic_histograms_to_nhcb: true")
    wait_up(server)

    assert server.query("histogram_count(h)")[f'{{instance="{target.address}",job="page"}}'] == "5"
    assert server.query("h_bucket") == {}


OPENMETRICS_PAGE = """# TYPE c counter
c_total 7
c_created {created}
# EOF
"""


def test_created_lines_become_samples_of_zero_on_request(world):
    created = int(time.time()) - 30
    target = world.target(OPENMETRICS_PAGE.format(created=created),
                          content_type="application/openmetrics-text; version=1.0.0")
    server = world.server(harness.scrape_config(("page", [target.address]), interval="500ms"),
                          "--enable-feature=created-timestamp-zero-ingestion").start()
    wait_up(server)

    (values,) = server.samples("c_total", "5m").values()
    assert values[0] == (float(created), "0")
    assert values[1][1] == "7"
    assert server.query("c_created") == {}


def test_counters_without_a_start_are_measured_from_their_first_sample(world):
    """--enable-feature=st-synthesis: the first sample is where the series begins, and is taken off."""
    pages = itertools.count()
    target = world.target(lambda: f"# TYPE c_total counter\nc_total {100 + next(pages)}\n# TYPE g gauge\ng 100\n")
    server = world.server(harness.scrape_config(("j", [target.address])), "--enable-feature=st-synthesis").start()
    harness.wait_until("three samples", lambda: len(next(iter(server.samples("c_total", "1m").values()), [])) >= 3)

    (counter,) = server.samples("c_total", "1m").values()
    (gauge,) = server.samples("g", "1m").values()
    assert [value for _, value in counter[:3]] == ["1", "2", "3"]
    assert gauge[0][1] == "100" and gauge[0][0] < counter[0][0]
    assert server.api("features")["scrape"]["st-synthesis"] is True
