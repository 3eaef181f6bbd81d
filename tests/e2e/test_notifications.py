# SPDX-License-Identifier: Apache-2.0
"""Live notifications: many listen at once, up to the limit, and none of them is in the way of anybody."""
import json
import socket

import pytest

import harness

MANY = 40


class Listener:
    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        self.socket.sendall(b"GET /api/v1/notifications/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.text = b""

    def wait_for(self, wanted):
        while wanted not in self.text:
            more = self.socket.recv(65536)
            assert more, self.text
            self.text += more
        return self

    def events(self):
        return [json.loads(line[6:]) for line in self.text.decode().splitlines() if line.startswith("data: ")]

    def close(self):
        self.socket.close()


@pytest.fixture
def server(world):
    return world.server("global: {}\n", "--web.enable-lifecycle",
                        f"--web.max-notifications-subscribers={MANY}").start()


def test_many_listen_and_more_are_turned_away(world, server):
    listeners = [Listener(server) for _ in range(MANY)]
    for listener in listeners:
        listener.wait_for(b"text/event-stream")
    assert server.get("/api/v1/notifications/live").status == 204
    # All workers are free.
    assert server.query("vector(1)") and server.get("/-/healthy").status == 200

    config = world.directory / f"{server.name}.yml"
    config.write_text("nonsense")
    assert server.reload().status == 500
    for listener in listeners:
        listener.wait_for(b"Configuration reload has failed.")
        assert [(event["text"], event["active"]) for event in listener.events()] == [
            ("Configuration reload has failed.", True)]
    assert [event["text"] for event in server.api("notifications")] == ["Configuration reload has failed."]
    config.write_text("global: {}\n")
    assert server.reload().status == 200
    for listener in listeners:
        listener.wait_for(b'"active":false')

    listeners[0].close()
    late = harness.wait_until("a place to be free", lambda: free_place(server))
    late.close()
    for listener in listeners[1:]:
        listener.close()


def free_place(server):
    listener = Listener(server)
    head = listener.socket.recv(4096)
    if b" 200 " in head.split(b"\r\n")[0]:
        return listener
    listener.close()
    return None


def test_the_server_stops_while_clients_listen(world, server):
    listeners = [Listener(server).wait_for(b"text/event-stream") for _ in range(5)]

    assert server.stop() == 0
    for listener in listeners:
        listener.close()
