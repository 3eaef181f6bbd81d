# SPDX-License-Identifier: Apache-2.0
"""An HTTP proxy that writes down what it is asked for: (method, target, head)."""
import socket
import threading


class Proxy:
    """Leads to whom it is asked for, or always to the local port `behind`."""

    def __init__(self, behind=None):
        self.asked, self.behind = [], behind
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://me:word@127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            more = client.recv(65536)
            if not more:
                return
            head += more
        method, target = head.split(b"\r\n")[0].decode().split()[:2]
        self.asked.append((method, target, head.decode()))
        address = target if method == "CONNECT" else target.split("/")[2]
        host, port = address.rsplit(":", 1)
        try:
            server = socket.create_connection(("127.0.0.1", self.behind) if self.behind else (host, int(port)))
        except OSError:
            client.close()
            return
        if method == "CONNECT":
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            server.sendall(head)
        threading.Thread(target=self._pour, args=(client, server), daemon=True).start()
        self._pour(server, client)

    @staticmethod
    def _pour(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()
