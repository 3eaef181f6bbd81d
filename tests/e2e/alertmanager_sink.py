#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A webhook listener and a mail server that answer at once, or after so many milliseconds: a process of its own, with one thread, so that
nothing else in a test makes an instance wait for its answer. Each notification is a line of JSON on its standard output:

    {"at": monotonic seconds, "way": "webhook" or "mail", "name": alertname, "key": what recognises a repetition, "who": the instance's URL}
"""
import asyncio
import email
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

import harness

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"


def tell(at, way, name, key, who):
    print(json.dumps({"at": at, "way": way, "name": name, "key": key, "who": who}), flush=True)


class Receiver(asyncio.Protocol):
    answer_s = 0.0
    bare = False  # what comes is counted, and not looked at

    def answer(self, data):
        """For what was sent."""
        if self.answer_s:
            asyncio.get_running_loop().call_later(self.answer_s, self.transport.write, data)
        else:
            self.transport.write(data)


class Web(Receiver):
    def connection_made(self, transport):
        self.transport, self.data = transport, b""

    def data_received(self, data):
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            lines = self.data[:end].decode().split("\r\n")[1:]
            headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}
            size = end + 4 + int(headers.get("content-length", 0))
            if len(self.data) < size:
                return
            body, self.data = self.data[end + 4:size], self.data[size:]
            at = time.monotonic()
            self.answer(OK)
            if self.bare:
                tell(at, "webhook", None, None, None)
                continue
            document = json.loads(body)
            tell(at, "webhook", document["groupLabels"]["alertname"], headers["idempotency-key"], document["externalURL"])


class Mail(Receiver):
    def connection_made(self, transport):
        self.transport, self.data, self.in_text = transport, b"", False
        transport.write(b"220 sink\r\n")

    def data_received(self, data):
        self.data += data
        while (end := self.data.find(b"\r\n.\r\n" if self.in_text else b"\r\n")) >= 0:
            part, self.data = self.data[:end], self.data[end + (5 if self.in_text else 2):]
            if self.in_text:
                at = time.monotonic()
                self.answer(b"250 ok\r\n")
                self.in_text = False
                mail = email.message_from_bytes(part)
                tell(at, "mail", mail["Subject"], mail["Message-Id"], mail["X-Instance"])
                continue
            verb = part.split()[0].upper() if part.split() else b""
            self.in_text = verb == b"DATA"
            self.transport.write(b"354 go on\r\n" if self.in_text else b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
            if verb == b"QUIT":
                self.transport.close()


async def serve(answer_s, bare):
    Receiver.answer_s, Receiver.bare = answer_s, bare
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(kind, "127.0.0.1", 0, backlog=256) for kind in (Web, Mail)]
    print(json.dumps([s.sockets[0].getsockname()[1] for s in servers]), flush=True)
    await asyncio.gather(*(s.serve_forever() for s in servers))


class Sink:
    """The process, and what it was told."""

    def __init__(self, answer_ms=0.0, bare=False):
        self.told, self.lock = [], threading.Lock()
        self.process = subprocess.Popen([sys.executable, str(pathlib.Path(__file__).resolve()), str(answer_ms), str(int(bare))], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, text=True, preexec_fn=harness._die_with_parent)
        web, self.mail_port = json.loads(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{web}"
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            one = json.loads(line)
            with self.lock:
                self.told.append(one)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()


if __name__ == "__main__":
    try:
        os.nice(-10)  # before those who wait for the answer
    except OSError:
        pass  # not ours to say
    asyncio.run(serve(float(sys.argv[1]) / 1000, sys.argv[2] == "1"))
