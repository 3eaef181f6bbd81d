# SPDX-License-Identifier: Apache-2.0
"""--web.config.file: TLS, client certificates, passwords, headers and rates, judged by curl and by a scraping Prometheus."""
import subprocess

import pytest

import harness



def bcrypt(password):
    """As htpasswd -B makes it, with the libcrypt of the machine."""
    import ctypes
    import ctypes.util
    library = ctypes.CDLL(ctypes.util.find_library("crypt"))
    library.crypt.restype = ctypes.c_char_p
    made = library.crypt(password.encode(), b"$2b$04$abcdefghijklmnopqrstuu")
    return "$2y$" + made.decode()[4:]


def openssl(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


def make_certificate(directory, name, ca=None, san="DNS:localhost,IP:127.0.0.1", usage="serverAuth"):
    """NAME.pem and NAME.key, signed by `ca` or by itself."""
    openssl(directory, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    extensions = directory / f"{name}.ext"
    extensions.write_text("basicConstraints=CA:TRUE\n" if ca is None else
                          f"subjectAltName={san}\nextendedKeyUsage={usage}\n")
    signer = ["-signkey", f"{name}.key"] if ca is None else \
        ["-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial"]
    openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-days", "2", "-extfile", extensions.name,
            "-out", f"{name}.pem", *signer)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    make_certificate(folder, "ca")
    make_certificate(folder, "other-ca")
    make_certificate(folder, "server", "ca")
    make_certificate(folder, "second", "ca")
    make_certificate(folder, "client", "ca", "DNS:good.example,URI:spiffe://a/b", "clientAuth")
    make_certificate(folder, "stranger", "other-ca", "DNS:good.example", "clientAuth")
    return folder


def curl(server, *options, scheme="https", path="/-/healthy"):
    """(curl's exit status, the HTTP status, headers and body)."""
    done = subprocess.run(
        ["curl", "-sS", "-i", "--max-time", "20", "--noproxy", "*", *map(str, options),
         f"{scheme}://localhost:{server.port}{path}", "--connect-to", f"::127.0.0.1:{server.port}"],
        capture_output=True, text=True, check=False)
    first = done.stdout.split("\n", 1)[0].split(" ")
    return done.returncode, int(first[1]) if len(first) > 1 else 0, done.stdout


def start(world, web, *flags, binary_config="global: {}\n"):
    """A server with this web configuration, once it listens."""
    world.write_file("web.yml", web)
    server = world.server(binary_config, f"--web.config.file={world.directory / 'web.yml'}", *flags)
    server.start(ready=False)

    def listens():
        assert server.is_running(), server.log_tail()
        return "listening" in server.log() and "ready" in server.log()
    harness.wait_until("the server to listen", listens)
    return server


def tls(certificates, name="server", **more):
    lines = ["tls_server_config:", f"  cert_file: {certificates}/{name}.pem",
             f"  key_file: {certificates}/{name}.key"]
    lines += [f"  {key}: {value}" for key, value in more.items()]
    return "\n".join(lines) + "\n"


def test_tls_is_served_and_plain_http_is_not(world, certificates):
    server = start(world, tls(certificates))

    assert curl(server, "--cacert", certificates / "ca.pem")[1] == 200
    assert curl(server, "--cacert", certificates / "other-ca.pem")[0] == 60
    assert curl(server, scheme="http")[1] != 200


@pytest.mark.parametrize("settings, options, wanted", [
    ({}, ["--tlsv1.2", "--tls-max", "1.2"], 200),
    ({}, ["--tlsv1.3"], 200),
    ({}, ["--tlsv1.0", "--tls-max", "1.1"], 0),
    ({"min_version": "TLS13"}, ["--tls-max", "1.2"], 0),
    ({"min_version": "TLS13"}, [], 200),
    ({"max_version": "TLS12"}, ["--tlsv1.3"], 0),
    ({"max_version": "TLS12", "cipher_suites": "[TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]"},
     ["--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"], 200),
    ({"max_version": "TLS12", "cipher_suites": "[TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]"},
     ["--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"], 0),
    ({"curve_preferences": "[CurveP384]"}, ["--curves", "P-384"], 200),
    ({"curve_preferences": "[CurveP384]"}, ["--curves", "X25519"], 0),
], ids=str)
def test_versions_suites_and_curves_are_kept_to(world, certificates, settings, options, wanted):
    server = start(world, tls(certificates, **settings))

    assert curl(server, "--cacert", certificates / "ca.pem", *options)[1] == wanted


@pytest.mark.parametrize("kind, without, with_good, with_stranger", [
    ("NoClientCert", 200, 200, 200),
    ("RequestClientCert", 200, 200, 200),
    ("RequireAnyClientCert", 0, 200, 200),
    ("VerifyClientCertIfGiven", 200, 200, 0),
    ("RequireAndVerifyClientCert", 0, 200, 0),
])
def test_clients_certificates_are_asked_for(world, certificates, kind, without, with_good, with_stranger):
    more = {"client_auth_type": kind}
    if kind != "NoClientCert":
        more["client_ca_file"] = certificates / "ca.pem"
    server = start(world, tls(certificates, **more))

    def shown(name):
        return ["--cacert", certificates / "ca.pem", "--cert", certificates / f"{name}.pem", "--key",
                certificates / f"{name}.key"]
    assert curl(server, "--cacert", certificates / "ca.pem")[1] == without
    assert curl(server, *shown("client"))[1] == with_good
    assert curl(server, *shown("stranger"))[1] == with_stranger


@pytest.mark.parametrize("names, wanted", [
    ("[good.example]", 200), ("[spiffe://a/b]", 200), ("[Good.example]", 0), ("[example, b]", 0)])
def test_only_allowed_names_in_clients_certificates(world, certificates, names, wanted):
    server = start(world, tls(certificates, client_auth_type="RequireAndVerifyClientCert",
                              client_ca_file=certificates / "ca.pem", client_allowed_sans=names))

    status = curl(server, "--cacert", certificates / "ca.pem", "--cert", certificates / "client.pem",
                  "--key", certificates / "client.key")[1]

    assert status == wanted


def test_a_changed_certificate_is_shown_to_the_next_connection(world, certificates):
    server = start(world, tls(certificates))
    assert curl(server, "--cacert", certificates / "ca.pem")[1] == 200

    world.write_file("web.yml", tls(certificates, "other-ca"))
    assert curl(server, "--cacert", certificates / "ca.pem")[0] == 60
    world.write_file("web.yml", tls(certificates, "second"))

    assert curl(server, "--cacert", certificates / "ca.pem")[1] == 200


def test_passwords_guard_every_page_and_change_at_once(world):
    web = "basic_auth_users:\n  me: {}\n"
    server = start(world, web.format(bcrypt("secret")))

    for path in ("/-/healthy", "/metrics", "/api/v1/query?query=1", "/nowhere"):
        _, status, text = curl(server, scheme="http", path=path)
        assert (status, "www-authenticate: basic" in text.lower()) == (401, True)
        assert text.endswith("\n\nUnauthorized\n")
    assert curl(server, "-u", "me:secret", scheme="http")[1] == 200
    assert curl(server, "-u", "me:Secret", scheme="http")[1] == 401
    assert curl(server, "-u", "you:secret", scheme="http")[1] == 401

    world.write_file("web.yml", web.format(bcrypt("changed")))
    assert curl(server, "-u", "me:secret", scheme="http")[1] == 401
    assert curl(server, "-u", "me:changed", scheme="http")[1] == 200


def test_a_known_password_costs_no_bcrypt(world):
    import base64
    import ctypes
    import ctypes.util
    library = ctypes.CDLL(ctypes.util.find_library("crypt"))
    library.crypt.restype = ctypes.c_char_p
    dear = library.crypt(b"secret", b"$2b$10$abcdefghijklmnopqrstuu").decode()
    server = start(world, f"basic_auth_users:\n  me: {dear}\n")
    headers = {"Authorization": "Basic " + base64.b64encode(b"me:secret").decode()}
    assert harness.http_call(server.url + "/-/healthy", headers=headers).status == 200

    before = cpu_s(server)
    for _ in range(50):
        assert harness.http_call(server.url + "/-/healthy", headers=headers).status == 200

    assert cpu_s(server) - before < 1.0  # 50 times bcrypt would be 2.5 s and more


def cpu_s(server):
    fields = open(f"/proc/{server.process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_guesses_do_not_keep_users_out(world):
    server = start(world, f"basic_auth_users:\n  me: {bcrypt('secret')}\n")
    curl(server, "-u", "me:secret", scheme="http")
    guesses = [subprocess.Popen(["curl", "-s", "-o", "/dev/null", "--noproxy", "*", "-u", f"me:guess{i}",
                                 f"{server.url}/-/healthy"]) for i in range(20)]

    assert curl(server, "-u", "me:secret", scheme="http")[1] == 200
    for guess in guesses:
        guess.wait(60)
    assert curl(server, "-u", "me:secret", scheme="http")[1] == 200


def test_headers_are_sent_with_each_answer(world):
    server = start(world, "http_server_config:\n  headers:\n    X-Frame-Options: deny\n"
                          "    Content-Security-Policy: default-src 'self'\n")

    for path in ("/-/healthy", "/nowhere", "/metrics"):
        text = curl(server, scheme="http", path=path)[2]
        assert "X-Frame-Options: deny\n" in text
        assert "Content-Security-Policy: default-src 'self'\n" in text


def test_requests_above_the_rate_are_429(world):
    server = start(world, "rate_limit: {interval: 1h, burst: 5}\n")

    statuses = [curl(server, scheme="http")[1] for _ in range(8)]

    assert statuses == [200] * 5 + [429] * 3


def test_a_file_that_breaks_refuses_all_until_it_is_mended(world):
    server = start(world, "basic_auth_users: {}\n")
    assert curl(server, scheme="http")[1] == 200

    world.write_file("web.yml", "basic_auth_users:\n  me: clear\n")
    assert curl(server, scheme="http")[1] == 500
    assert "web.yml:2:7: the password of user" in server.log()
    world.write_file("web.yml", "basic_auth_users: {}\n")

    assert curl(server, scheme="http")[1] == 200


@pytest.mark.parametrize("text, place", [
    ("tls_server_config:\n  cert_file: nowhere.pem\n  key_file: nowhere.key\n", "failed to read cert_file"),
    ("tls_server_config:\n  min_version: TLS99\n", "web.yml:2:16"),
    ("colour: red\n", "web.yml:1:1"),
])
def test_a_wrong_file_is_told_at_the_start(world, text, place):
    world.write_file("web.yml", text)
    world.write_file("prometheus.yml", "global: {}\n")

    done = world.run("server", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
                     f"--web.listen-address=127.0.0.1:{harness.free_port()}", "--web.config.file=web.yml")

    assert done.returncode != 0
    assert place in done.stderr + done.stdout


GUARDED_JOB = """scheme: https
basic_auth: {{username: me, password: secret}}
tls_config: {{ca_file: {folder}/ca.pem, cert_file: {folder}/client.pem, key_file: {folder}/client.key,
             server_name: localhost}}"""


def guarded(certificates):
    return tls(certificates, client_auth_type="RequireAndVerifyClientCert",
               client_ca_file=certificates / "ca.pem") + f"basic_auth_users:\n  me: {bcrypt('secret')}\n"


@pytest.mark.parametrize("scraper", ["prometheus", "narthex"])
def test_a_guarded_server_is_scraped(world, certificates, scraper):
    server = start(world, guarded(certificates))
    config = harness.scrape_config(
        ("guarded", [f"127.0.0.1:{server.port}"], GUARDED_JOB.format(folder=certificates)))
    who = world.prometheus(config) if scraper == "prometheus" else world.server(config, data="scraper")
    who.start()

    harness.wait_until("a good scrape", lambda: who.query('up{job="guarded"} == 1'))


def test_the_node_exporter_is_guarded_too(world, certificates):
    world.write_file("web.yml", tls(certificates) + f"basic_auth_users:\n  me: {bcrypt('secret')}\n")
    port = harness.free_port()
    server = world._add(harness.Server(
        [str(world.binary), "node-exporter", f"--web.listen-address=127.0.0.1:{port}",
         f"--web.config.file={world.directory / 'web.yml'}"], world.directory, port, "node"))
    server.start(ready=False)
    harness.wait_until("the exporter to listen", lambda: "listening" in server.log())

    assert curl(server, "--cacert", certificates / "ca.pem", path="/metrics")[1] == 401
    _, status, text = curl(server, "--cacert", certificates / "ca.pem", "-u", "me:secret", path="/metrics")
    assert status == 200 and "node_uname_info" in text
