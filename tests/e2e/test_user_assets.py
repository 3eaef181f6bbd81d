# SPDX-License-Identifier: Apache-2.0
"""--web.user-assets: a folder of one's own at /user/, and nothing above it."""
import socket


def raw(port, target):
    """A path as no client would send it: (status, body)."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as link:
        link.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while piece := link.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def test_a_folder_is_served_and_not_what_is_above_it(world, tmp_path):
    assets = tmp_path / "assets"
    (assets / "sub").mkdir(parents=True)
    (tmp_path / "secret").write_text("not for you")
    (assets / "a.css").write_text("p{}")
    (assets / "sub" / "index.html").write_text("<p>index</p>")
    server = world.server("global: {}\n", f"--web.user-assets={assets}").start()

    style = server.get("/user/a.css")
    assert (style.status, style.body, style.headers["Content-Type"]) == (200, b"p{}", "text/css; charset=utf-8")
    assert server.get("/user/sub").body == b"<p>index</p>"  # by way of sub/
    assert "a.css" in server.get("/user/").text
    for target in ("/user/../secret", "/user/%2e%2e/secret", "/user/..%2fsecret", "/user/sub/../../secret",
                   "/user/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd", "/user//etc/passwd", "/user/a.css%00",
                   f"/user{tmp_path}/secret"):
        status, body = raw(server.port, target)
        assert status in (301, 400, 404), target
        assert b"not for you" not in body and b"root:" not in body, target
    assert server.metric('prometheus_http_requests_total{handler="/user/*filepath",code="200"}') >= 3
    assert server.metric('prometheus_http_requests_total{handler="/user/*filepath",code="404"}') >= 5


def test_without_the_flag_there_is_no_such_folder(world):
    server = world.server("global: {}\n").start()

    assert server.get("/user/a.css").status == 404
    assert "/user/" not in server.get("/metrics").text
