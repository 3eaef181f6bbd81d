# SPDX-License-Identifier: Apache-2.0
"""TLS in front of servers of tests that have none, and certificates for it."""
import socket
import ssl
import subprocess
import threading

import harness


def certificate(directory, name, san):
    subprocess.run([harness.original("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}", "-addext", f"subjectAltName={san}"],
                   cwd=directory, check=True, capture_output=True)
    return directory / f"{name}.crt", directory / f"{name}.key"


class Tls:
    """TLS in front of what listens at an address: it answers to one certificate, and knows which name and version each client came with."""

    def __init__(self, address, cert, key, maximum=None, client_ca=None):
        self.met = []  # (server name, version)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        if maximum:
            context.maximum_version = maximum
        if client_ca:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        context.sni_callback = lambda connection, name, _: setattr(connection, "asked_for", name)
        host, port = address.split(":")
        self.behind = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        own = self.listener.getsockname()[1]
        self.port, self.address = own, f"{host}:{own}"
        # Brokers tell clients where they are; this one is here.
        self.named = [host.encode() + p.to_bytes(4, "big") for p in (int(port), own)]
        threading.Thread(target=self._accept, args=(context,), daemon=True).start()

    def _accept(self, context):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(context, plain), daemon=True).start()

    def _serve(self, context, plain):
        try:
            client = context.wrap_socket(plain, server_side=True)
        except (ssl.SSLError, OSError):
            return
        self.met.append((getattr(client, "asked_for", None), client.version()))
        broker = socket.create_connection(self.behind)
        threading.Thread(target=self._pour, args=(broker, client, True), daemon=True).start()
        self._pour(client, broker, False)

    def _pour(self, source, sink, named):
        try:
            while data := source.recv(65536):
                sink.sendall(data.replace(*self.named) if named else data)
        except OSError:
            pass
        for end in (source, sink):
            end.close()

    def close(self):
        self.listener.close()
