# SPDX-License-Identifier: Apache-2.0
"""`tracing`: spans arrive at an OTLP receiver, over gRPC (a real gRPC server) and over HTTP, stand below each other, and below the caller's."""
import collections
import concurrent.futures
import gzip
import http.server
import json
import struct
import threading

import grpc
import pytest

import harness
from harness import proto_fields as fields

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
Span = collections.namedtuple("Span", "trace id parent name kind start end attributes status resource events")


def attributes(pairs):
    out = {}
    for pair in pairs:
        pair = dict(fields(pair))
        (kind, value), = fields(pair[2])
        out[pair[1].decode()] = ([dict(fields(v))[1].decode() for _, v in fields(value)] if kind == 5 else value.decode() if kind == 1 else bool(value) if kind == 2 else
                                 value - (value >> 63 << 64) if kind == 3 else struct.unpack("<d", struct.pack("<Q", value))[0])
    return out


def spans_of(request):
    for _, resource_spans in fields(request):
        resource = attributes([v for n, v in fields(dict(fields(resource_spans))[1]) if n == 1])
        for number, scope_spans in fields(resource_spans):
            if number != 2:
                continue
            for number, span in fields(scope_spans):
                if number != 2:
                    continue
                one = dict(fields(span))
                status = dict(fields(one.get(15, b"")))
                yield Span(one[1].hex(), one[2].hex(), one.get(4, b"").hex(), one[5].decode(), one[6], one[7], one[8],
                           attributes([v for n, v in fields(span) if n == 9]),
                           (status.get(3, 0), status.get(2, b"").decode()), resource,
                           [(dict(fields(v))[2].decode(), attributes([a for k, a in fields(v) if k == 3])) for n, v in fields(span) if n == 11])


class Receiver:
    """Both kinds of OTLP trace receivers, and what they got."""

    def __init__(self):
        self.spans, self.headers = [], []
        receiver = self

        class Handler(grpc.GenericRpcHandler):
            def service(self, call):
                assert call.method == EXPORT, call.method
                receiver.headers.append(dict(call.invocation_metadata))
                return grpc.unary_unary_rpc_method_handler(lambda request, context: receiver.take(request))

        class Http(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/v1/traces", self.path
                receiver.headers.append({k.lower(): v for k, v in self.headers.items()})
                if self.headers["Content-Encoding"] == "gzip":
                    body = gzip.decompress(body)
                receiver.take(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.grpc = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
        self.grpc.add_generic_rpc_handlers([Handler()])
        self.grpc_port = self.grpc.add_insecure_port("127.0.0.1:0")
        self.grpc.start()
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Http)
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def take(self, request):
        self.spans += spans_of(request)
        return b""

    def named(self, name):
        return [span for span in self.spans if span.name == name]

    def close(self):
        self.grpc.stop(0).wait()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def receiver():
    one = Receiver()
    yield one
    one.close()


def config(receiver, kind, extra="", rest=""):
    port = receiver.grpc_port if kind == "grpc" else receiver.http.server_address[1]
    return (f"tracing:\n  endpoint: 127.0.0.1:{port}\n  client_type: {kind}\n  insecure: true\n"
            f"  sampling_fraction: 1\n{extra}{rest}")


def children(receiver, span):
    return {other.name for other in receiver.spans if other.trace == span.trace and other.parent == span.id}


@pytest.mark.parametrize("kind, extra", [("grpc", ""), ("grpc", "  compression: gzip\n"), ("http", ""),
                                         ("http", "  compression: gzip\n")])
def test_a_query_is_traced_below_its_caller(world, receiver, kind, extra):
    server = world.server(config(receiver, kind, extra + "  headers: {x-tenant: me}\n")).start()
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

    harness.http_call(server.url + "/api/v1/query_range?query=up%2B1&start=1&end=2&step=1",
                      headers={"traceparent": f"00-{trace}-{parent}-01"})
    harness.http_call(server.url + "/api/v1/query?query=1",
                      headers={"traceparent": "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"})
    assert server.get("/api/v1/query", query="sum(").status == 400
    server.stop()  # sends what waits

    span, = [one for one in receiver.named("GET /api/v1/query_range")]
    assert (span.trace, span.parent, span.kind) == (trace, parent, 2)
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["server.port"] == server.port and span.attributes["url.path"] == "/api/v1/query_range"
    query, = receiver.named("promqlRangeQuery")
    assert query.parent == span.id
    assert {"query": "up+1", "step": "1", "start": "1970-01-01T00:00:01Z", "result_series": 0}.items() <= query.attributes.items()
    assert children(receiver, query) == {"promqlExec"}
    execution, = [one for one in receiver.named("promqlExec") if one.trace == trace]
    assert children(receiver, execution) == {"promqlExecQueue", "promqlEval"}
    evaluation, = [one for one in receiver.named("promqlEval") if one.trace == trace]
    assert children(receiver, evaluation) == {"promqlPrepare", "promqlInnerEval", "promqlSort"}
    series, = receiver.named("promqlExpandSeries")
    assert series.attributes == {"selector": "up", "num_series": 0}
    assert span.start <= query.start <= execution.start <= execution.end <= query.end <= span.end
    # Whoever asks without being sampled is not.
    assert not [one for one in receiver.spans if one.trace.startswith("1af7")]
    failed, = [one for one in receiver.named("promqlInstantQuery")]
    assert failed.status[0] == 2 and "parse error" in failed.status[1]
    assert span.resource["service.name"] == "prometheus"
    assert receiver.headers[0]["x-tenant"] == "me"
    assert "traces could not be sent" not in server.log()


def test_scrapes_rules_and_remote_write_are_traced_and_passed_on(world, receiver, tmp_path):
    target = world.target("a 1\n")
    seen = world.target("")  # answers GET alone: remote write fails there, which is told, too
    (tmp_path / "rules.yml").write_text(
        "groups:\n- name: g\n  interval: 1s\n  rules:\n  - {record: b, expr: a}\n  - {record: c, expr: a + on(x) a}\n")
    server = world.server(config(receiver, "grpc", rest=(
        "global: {scrape_interval: 1s}\n"
        f"rule_files: ['{tmp_path}/rules.yml']\n"
        f"remote_write:\n- {{url: 'http://{seen.address}/w', name: far, queue_config: {{batch_send_deadline: 1s}}}}\n"
        f"scrape_configs:\n- job_name: j\n  static_configs: [{{targets: ['{target.address}']}}]\n"))).start()
    harness.wait_until("spans of all kinds", lambda: all(receiver.named(name) for name in (
        "scrape", "rule", "ruleCommit", "Remote Send Batch", "HTTP POST")))
    server.stop()

    span = receiver.named("scrape")[0]
    assert {"scrapeRequest", "scrapeAppend", "scrapeReport", "scrapeCommit"} == children(receiver, span)
    assert span.attributes["samples_scraped"] == 1 and span.attributes["bytes"] == 4
    request = [one for one in receiver.named("scrapeRequest") if one.parent == span.id][0]
    ask = [one for one in receiver.named("HTTP GET") if one.parent == request.id][0]
    assert ask.kind == 3 and ask.attributes["http.response.status_code"] == 200
    # What the target was told is what was recorded.
    told = {headers.get("Traceparent") for _, headers in target.requests}
    assert f"00-{ask.trace}-{ask.id}-01" in told
    group = receiver.named("rule group")[0]
    assert group.attributes["name"] == "g" and group.attributes["interval"] == "1s"
    rules = [one for one in receiver.named("rule") if one.parent == group.id]
    assert {one.attributes["name"]: one.attributes["query"] for one in rules} == {"b": "a", "c": "a + on (x) a"}
    assert "promqlExec" in children(receiver, rules[0])
    batch = receiver.named("Remote Send Batch")[0]
    assert batch.attributes["remote_name"] == "far" and batch.attributes["samples"] > 0
    assert batch.status[0] == 2 and children(receiver, batch) == {"Remote Store"}


def test_a_reload_turns_it_on_and_off(world, receiver):
    server = world.server("global: {}\n", "--web.enable-lifecycle").start()
    assert server.get("/-/healthy").status == 200
    path = server.directory / f"{server.name}.yml"
    path.write_text(config(receiver, "http"))
    assert server.reload().status == 200
    assert server.get("/api/v1/status/buildinfo").status == 200
    assert "client_type: http" in server.api("status/config")["yaml"]
    path.write_text("global: {}\n")
    assert server.reload().status == 200
    assert server.get("/api/v1/status/flags").status == 200

    names = {span.name for span in receiver.spans}
    assert "GET /api/v1/status/buildinfo" in names
    assert not names & {"GET /-/healthy", "GET /api/v1/status/flags"}
    path.write_text("tracing: {client_type: http}\n")
    assert "tracing endpoint must be set" in server.reload().text
    assert server.metric('narthex_trace_spans_total{outcome="sent"}') == len(receiver.spans)


def test_the_query_log_names_the_span(world, receiver, tmp_path):
    log = tmp_path / "queries"
    server = world.server(config(receiver, "http", rest=f"global: {{query_log_file: '{log}'}}\n")).start()
    assert server.get("/api/v1/query", query="1").status == 200
    server.stop()

    line = json.loads(log.read_text())
    execution, = receiver.named("promqlExec")
    assert (line["spanID"], line["traceID"]) == (execution.id, execution.trace)


def test_a_receiver_that_is_away_costs_nothing_but_spans(world):
    port = harness.free_port()
    server = world.server(f"tracing: {{endpoint: '127.0.0.1:{port}', insecure: true, sampling_fraction: 1}}\n").start()
    for _ in range(50):
        assert server.get("/api/v1/query", query="1").status == 200
    assert server.stop() == 0
    assert "traces could not be sent" in server.log()
