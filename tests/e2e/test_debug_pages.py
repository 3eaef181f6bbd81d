# SPDX-License-Identifier: Apache-2.0
"""/debug/pprof/ of a server: where tools of Go's world look for profiles."""
import gzip


def test_a_server_tells_where_its_threads_spend_their_time(world):
    server = world.server("global: {}\n").start()

    index = server.get("/debug/pprof")  # by way of the folder
    threads = server.get("/debug/pprof/threadcreate?debug=1")
    profile = server.get("/debug/pprof/profile?seconds=1")

    assert index.status == 200 and 'href="profile?debug=1"' in index.text
    assert threads.text.startswith("threadcreate profile: total ")
    assert profile.headers["Content-Type"] == "application/octet-stream"
    assert b"nanoseconds" in gzip.decompress(profile.body)
    assert b"narthex" in server.post("/debug/pprof/cmdline").body
    assert server.get("/debug/pprof/heap").status == 404
    assert server.get("/debug/nothing").status == 404
    assert server.metric('prometheus_http_requests_total{handler="/debug/*subpath",code="404"}') == 2
