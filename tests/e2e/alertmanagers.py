# SPDX-License-Identifier: Apache-2.0
"""An Alertmanager under test, the original beside it, and a listener that stands where receivers would."""
import datetime
import email
import http.server
import json
import os
import socketserver
import subprocess
import threading
import time

import harness


def peer_binary():
    """The original: the one that $ALERTMANAGER_PEER names, else Debian's."""
    return os.environ.get("ALERTMANAGER_PEER") or harness.original("prometheus-alertmanager")


def peer_minor():
    """N of the original's version 0.N.x: what it knows differs."""
    run = subprocess.run([peer_binary(), "--version"], capture_output=True, text=True, check=True)
    words = (run.stdout + run.stderr).split()
    return int(words[words.index("version") + 1].split(".")[1])


class Listener:
    """Writes down each request and answers what every kind of receiver takes for a success."""

    ANSWER = {"ok": True, "success": True, "errcode": 0, "access_token": "tok", "issues": [], "ts": "1.2",
              "channel": "C1", "result": {"message_id": 1, "chat": {"id": 5}}, "id": "1", "key": "K-1"}

    def __init__(self, delay_s=0.0):
        self.requests, self.failing, self.lock = [], {}, threading.Lock()
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with listener.lock:
                    left = listener.failing.get(self.path, 0)
                    listener.failing[self.path] = max(left - 1, 0)
                    if not left:
                        listener.requests.append({
                            "at": time.monotonic(), "method": self.command, "path": self.path,
                            "headers": {k.lower(): v for k, v in self.headers.items()},
                            "body": body.decode("utf-8", "replace")})
                if delay_s:
                    time.sleep(delay_s)
                plain = "slack" in self.path
                answer = b"ok" if plain else json.dumps(listener.ANSWER).encode()
                self.send_response(503 if left else 200)
                self.send_header("Content-Type", "text/plain" if plain else "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_PUT = do_GET = do_POST

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def messages(self, prefix="/"):
        """The webhook documents below a path, in order."""
        with self.lock:
            found = [r for r in self.requests if r["path"].startswith(prefix)]
        return [dict(json.loads(r["body"]), path=r["path"]) for r in found]


class MailSink:
    """A mail server that takes everything: `mails` has the text of each."""

    def __init__(self):
        self.mails, self.lock = [], threading.Lock()
        sink = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                self.wfile.write(b"220 sink\r\n")
                for line in iter(self.rfile.readline, b""):
                    verb = line.split()[0].upper() if line.split() else b""
                    if verb == b"DATA":
                        self.wfile.write(b"354 go on\r\n")
                        text = b"".join(iter(self.rfile.readline, b".\r\n"))
                        with sink.lock:
                            sink.mails.append(text.decode())
                    self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
                    if verb == b"QUIT":
                        return

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = allow_reuse_address = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass  # an instance that was killed

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def header(self, name):
        """The values of a header, a mail each."""
        with self.lock:
            return [email.message_from_string(text)[name] for text in self.mails]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Alertmanager(harness.Server):
    def __init__(self, command, directory, port, name, config_path):
        super().__init__(command, directory, port, name)
        self.config_path = config_path

    def v2(self, path, **parameters):
        reply = self.get("/api/v2/" + path, **parameters)
        assert reply.status == 200, f"{path}: {reply.status} {reply.text[:500]}"
        return reply.json()

    def send(self, path, document):
        reply = self.post("/api/v2/" + path, json.dumps(document).encode(), {"Content-Type": "application/json"})
        assert reply.status == 200, f"{path}: {reply.status} {reply.text[:500]}"
        return reply.json() if reply.body.strip() else None

    def silence(self, matchers, seconds=3600, start_s=0, comment="c"):
        rows = [{"name": k, "value": v, "isRegex": False, "isEqual": True} for k, v in matchers.items()]
        return self.send("silences", {"matchers": rows, "startsAt": stamp(start_s), "endsAt": stamp(start_s + seconds),
                                      "createdBy": "e2e", "comment": comment})["silenceID"]

    def expire(self, silence_id):
        assert harness.http_call(f"{self.url}/api/v2/silence/{silence_id}", method="DELETE").status == 200


def stamp(offset_s=0.0):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=offset_s)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def start(world, config, *flags, original=False, data=None, name=None, external_url="http://am.example/x"):
    """A running Alertmanager with this configuration text: narthex, or the original."""
    name = name or f"{'original' if original else 'narthex'}-am-{len(world.servers)}"
    path = world.write_file(f"{name}.yml", config)
    port = harness.free_port()
    command = [str(peer_binary())] if original else [str(world.binary), "alertmanager"]
    command += [f"--config.file={path}", f"--storage.path={world.directory / (data or name)}",
                f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
                f"--web.external-url={external_url}", "--web.route-prefix=/", *flags]
    server = Alertmanager(command, world.directory, port, name, path)
    world.servers.append(server)
    return server.start()


def alert(labels, annotations=None, starts=None, ends=None, url="http://p/graph"):
    document = {"labels": labels, "annotations": annotations or {}, "generatorURL": url}
    if starts:
        document["startsAt"] = starts
    if ends:
        document["endsAt"] = ends
    return document
