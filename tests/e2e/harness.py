# SPDX-License-Identifier: Apache-2.0
"""What the whole-program tests share: servers under test, targets for them to scrape, remote write.

Everything listens on 127.0.0.1, lives in a directory of its test, and is ended by its process id.
Nothing here sleeps for correctness: `wait_until` polls with a deadline that suits a loaded machine.
"""
import ctypes
import gzip
import http.client
import http.server
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

DEADLINE_S = 60

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def sanitized():
    """Whether the program under test was built with AddressSanitizer."""
    binary = os.environ.get("NARTHEX_BIN")
    return bool(binary) and b"__asan_report" in pathlib.Path(binary).read_bytes()


def wait_until(what, probe, deadline_s=DEADLINE_S, pause_s=0.05):
    """Calls `probe` until it returns something true, which is returned; fails after the deadline.

    A probe may look into what is not there yet: its error is shown if it is the last.
    """
    end = time.monotonic() + deadline_s
    last = None
    while time.monotonic() < end:
        try:
            last = probe()
            if last:
                return last
        except (OSError, http.client.HTTPException, AssertionError, LookupError, StopIteration, ValueError) as problem:
            last = problem
        time.sleep(pause_s)
    raise AssertionError(f"waited {deadline_s} s in vain for {what}; last seen: {last!r}")


PORTS = range(18000, 32000)  # below those that the kernel lends to clients


def _ports_of_this_worker():
    """Of pytest's workers, which run at the same time, each has ports of its own."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    own = PORTS[number::int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]
    begin = random.SystemRandom().randrange(len(own))
    return itertools.cycle([*own[begin:], *own[:begin]])


_ports = _ports_of_this_worker()


def free_port():
    """A port that nobody listens on, and that nobody else is given before all others have been."""
    for port in _ports:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)


def http_call(url, data=None, method=None, headers=None, timeout_s=30):
    """One HTTP exchange. A status of 400 and above is a reply like any other."""
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    try:
        with _opener.open(request, timeout=timeout_s) as reply:
            return Reply(reply.status, reply.headers, reply.read())
    except urllib.error.HTTPError as reply:
        with reply:
            return Reply(reply.code, reply.headers, reply.read())


def series_key(labels):
    """Labels as one readable and sortable string."""
    name = labels.get("__name__", "")
    rest = ",".join(f'{k}="{v}"' for k, v in sorted(labels.items()) if k != "__name__")
    return f"{name}{{{rest}}}"


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Server:
    """A running server with Prometheus' HTTP interface: narthex, or a peer to compare it with."""

    def __init__(self, command, directory, port, name):
        self.command, self.directory, self.port, self.name = command, directory, port, name
        self.url = f"http://127.0.0.1:{port}"
        self.log_path = directory / f"{name}.log"
        self.process = None

    def start(self, ready=True, deadline_s=DEADLINE_S):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=_die_with_parent)
        if ready:
            self.wait_ready(deadline_s)
        return self

    def wait_ready(self, deadline_s=DEADLINE_S):
        def is_ready():
            code = self.process.poll()
            if code is not None:
                raise RuntimeError(f"{self.name} ended with status {code}:\n{self.log_tail()}")
            return self.get("/-/ready", timeout_s=5).status == 200
        wait_until(f"{self.name} to be ready", is_ready, deadline_s, pause_s=0.01)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """kill -9, as a crash would."""
        if self.is_running():
            self.process.kill()
        self.process.wait()

    def stop(self, deadline_s=DEADLINE_S):
        """SIGTERM; returns the exit status. A server that does not end is killed and blamed."""
        if self.is_running():
            self.process.terminate()
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {deadline_s} s of SIGTERM")

    def log(self):
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def log_tail(self, lines=40):
        return "\n".join(self.log().splitlines()[-lines:])

    # -- HTTP -----------------------------------------------------------------------------------

    def get(self, path, timeout_s=30, **parameters):
        query = "?" + urllib.parse.urlencode(parameters, doseq=True) if parameters else ""
        return http_call(self.url + path + query, timeout_s=timeout_s)

    def post(self, path, data=b"", headers=None):
        return http_call(self.url + path, data=data, method="POST", headers=headers)

    def api(self, path, **parameters):
        """The `data` of a successful reply."""
        reply = self.get("/api/v1/" + path, **parameters)
        assert reply.status == 200, f"{path} {parameters}: {reply.status} {reply.text[:500]}"
        body = reply.json()
        assert body["status"] == "success", body
        return body["data"]

    def query(self, expression, **parameters):
        """An instant query: {series: value as the API prints it}."""
        data = self.api("query", query=expression, **parameters)
        if data["resultType"] == "scalar":
            return {"scalar": data["result"][1]}
        return {series_key(row["metric"]): row["value"][1] for row in data["result"]}

    def samples(self, selector, span, at_s=None):
        """All raw samples below a selector: {series: [(seconds, value), ...]}, to compare exactly."""
        when = {"time": f"{at_s:.3f}"} if at_s is not None else {}
        data = self.api("query", query=f"{selector}[{span}]", **when)
        return {
            series_key(row["metric"]): [(float(t), v) for t, v in row["values"]]
            for row in data["result"]
        }

    def targets(self):
        return self.api("targets")["activeTargets"]

    def reload(self):
        return self.post("/-/reload")

    def metric(self, name):
        """One value of the server's own /metrics page, matched by the text before the value."""
        for line in self.get("/metrics").text.splitlines():
            if line.startswith(name + " "):
                return float(line.rsplit(" ", 1)[1])
        return None

    def write(self, series):
        """Remote write 1.0. `series` is [(labels, [(t_ms, value), ...]), ...]. Returns the reply."""
        return self.post("/api/v1/write", remote_write_body(series), REMOTE_WRITE_HEADERS)


# ---- remote write 1.0 ---------------------------------------------------------------------------

REMOTE_WRITE_HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
    "User-Agent": "narthex-e2e",
}


def _varint(number):
    out = bytearray()
    number &= (1 << 64) - 1
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number, payload):
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def read_varint(data, at):
    """The number that stands at a place, and the place behind it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def proto_fields(message):
    """A protobuf message as [(number, value), ...]; embedded messages and strings are bytes."""
    at, out = 0, []
    while at < len(message):
        tag, at = read_varint(message, at)
        if tag & 7 == 0:
            value, at = read_varint(message, at)
        elif tag & 7 == 1:
            value = struct.unpack_from("<Q", message, at)[0]
            at += 8
        else:
            assert tag & 7 == 2, tag
            size, at = read_varint(message, at)
            value = message[at:at + size]
            assert len(value) == size
            at += size
        out.append((tag >> 3, value))
    return out


def snappy_literals(data):
    """A snappy block that only has literals: valid, and small enough to need no library."""
    out = bytearray(_varint(len(data)))
    for start in range(0, len(data), 65536):
        piece = data[start:start + 65536]
        out += struct.pack("<BH", 61 << 2, len(piece) - 1) + piece
    return bytes(out)


def write_request(series):
    """prometheus.WriteRequest: timeseries = 1 {labels = 1 {name 1, value 2}, samples = 2 {value 1, t 2}}."""
    out = bytearray()
    for labels, samples in series:
        one = bytearray()
        for name, value in sorted(labels.items()):
            one += _field(1, _field(1, name.encode()) + _field(2, value.encode()))
        for t_ms, value in samples:
            one += _field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(t_ms))
        out += _field(1, bytes(one))
    return bytes(out)


def remote_write_body(series):
    return snappy_literals(write_request(series))


# ---- a target to scrape -------------------------------------------------------------------------


class Target:
    """An exposition page behind HTTP or HTTPS, and a record of who asked for it."""

    def __init__(self, page, content_type="text/plain; version=0.0.4", tls=None, authorization=None,
                 compressed=False, port=0):
        self.page = page  # text, or a function that returns it
        self.requests = []
        self.closed = False
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if target.closed:
                    # A connection that was kept open hears nothing more, either.
                    self.close_connection = True
                    return
                target.requests.append((self.path, dict(self.headers.items())))
                if authorization and self.headers.get("Authorization") != authorization:
                    self.send_response(401)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                text = target.page() if callable(target.page) else target.page
                body = text.encode()
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                if compressed:
                    body = gzip.compress(body)
                    self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True
            # A server that is killed while it scrapes is no news.
            def handle_error(self, *_):
                pass

        self.listener = Listener(("127.0.0.1", port), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls["cert"], tls["key"])
            if "client_ca" in tls:
                context.load_verify_locations(tls["client_ca"])
                context.verify_mode = ssl.CERT_REQUIRED
            # The handshake happens on the connection's own thread, not on the one that accepts.
            self.listener.socket = context.wrap_socket(
                self.listener.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.listener.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.listener.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        if self.closed:
            return
        self.closed = True
        self.listener.shutdown()
        self.listener.server_close()
        self.thread.join()


def scrape_config(*jobs, interval="1s", extra=""):
    """prometheus.yml with one job per (name, [address, ...]) or (name, addresses, more lines)."""
    lines = ["global:", f"  scrape_interval: {interval}", f"  scrape_timeout: {interval}"]
    if extra:
        lines += extra.splitlines()
    lines.append("scrape_configs:")
    for name, addresses, *more in jobs:
        lines.append(f"  - job_name: {name}")
        for block in more:
            lines += [f"    {line}" for line in block.splitlines()]
        lines += ["    static_configs:", "      - targets:"]
        lines += [f"          - {address}" for address in addresses]
    return "\n".join(lines) + "\n"


# ---- one test's world ---------------------------------------------------------------------------


class World:
    """Starts things in one test's directory and ends all of them."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        binary = os.environ.get("NARTHEX_BIN")
        if not binary:
            raise RuntimeError("NARTHEX_BIN must name the narthex binary to test")
        self.binary = pathlib.Path(binary).resolve()
        self.servers, self.targets = [], []

    def close(self):
        for server in self.servers:
            if server.process is not None:
                server.kill()
        for target in self.targets:
            target.close()

    def run(self, *arguments, binary=None, timeout_s=DEADLINE_S):
        """Runs the binary to its end; returns the CompletedProcess with text outputs."""
        return subprocess.run([str(binary or self.binary), *map(str, arguments)], cwd=self.directory,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout_s, check=False)

    def write_file(self, name, text):
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written aside and renamed: a server that watches the file never sees half of it.
        aside = path.with_name(path.name + ".new")
        aside.write_text(text)
        aside.rename(path)
        return path

    def target(self, page, **options):
        target = Target(page, **options)
        self.targets.append(target)
        return target

    def server(self, config, *flags, data="data", binary=None, name=None):
        """A `server` with this configuration text, not yet started."""
        binary = pathlib.Path(binary or self.binary)
        name = name or f"{binary.name}-{len(self.servers)}"
        config_path = self.write_file(f"{name}.yml", config)
        port = free_port()
        # Called as `prometheus`, be it the original or a link to narthex, there is no command word.
        command = [str(binary)] + ([] if binary.name == "prometheus" else ["server"])
        command += [f"--config.file={config_path}", f"--storage.tsdb.path={self.directory / data}",
                    f"--web.listen-address=127.0.0.1:{port}", *flags]
        return self._add(Server(command, self.directory, port, name))

    def agent(self, config, *flags):
        """narthex as an agent, not yet started."""
        server = self.server(config, "--agent", f"--storage.agent.path={self.directory / 'agent'}", *flags, name="agent")
        server.command = [word for word in server.command if not word.startswith("--storage.tsdb.path")]
        return server

    def all_in_one(self, *flags, data="data"):
        """narthex without a command, not yet started."""
        port = free_port()
        command = [str(self.binary), f"--storage.tsdb.path={self.directory / data}",
                   f"--web.listen-address=127.0.0.1:{port}", *flags]
        return self._add(Server(command, self.directory, port, f"all-in-one-{len(self.servers)}"))

    def prometheus(self, config="global: {}\n", *flags, data="data"):
        """The original, as Debian packages it, not yet started."""
        return self.server(config, *flags, data=data, binary=original("prometheus"),
                           name=f"original-{len(self.servers)}")

    def _add(self, server):
        self.servers.append(server)
        return server

    def copy_data(self, source="data", copy="copy"):
        """Copies a data directory as a person would who moves it to another machine."""
        shutil.copytree(self.directory / source, self.directory / copy,
                        ignore=shutil.ignore_patterns("lock", "queries.active"))
        return copy


def original(name):
    """The path of a program that we are compared with."""
    path = shutil.which(name, path="/usr/bin:/usr/local/bin:" + os.environ.get("PATH", ""))
    if not path:
        raise RuntimeError(f"{name} is not installed; ./dev packages does it")
    return path


def promtool(*arguments, stdin=None):
    return subprocess.run([original("promtool"), *map(str, arguments)], input=stdin,
                          capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def blocks(data):
    """The meta.json of every block below a data directory, oldest first."""
    metas = [json.loads(path.read_text()) for path in pathlib.Path(data).glob("*/meta.json")
             if ".tmp" not in path.parent.name]
    return sorted(metas, key=lambda meta: meta["minTime"])
