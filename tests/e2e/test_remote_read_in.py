# SPDX-License-Identifier: Apache-2.0
"""Remote read in: a query sees what other stores hold as if it were ours."""
import time

import pytest

import harness

SELECTOR = '{__name__=~"far.*"}'


def store(world, kind):
    """A store with an hour of samples, told apart from ours by its external labels."""
    config = "global: {external_labels: {zone: far}}\n"
    flags = ["--web.enable-remote-write-receiver"]
    if kind == "prometheus":
        server = world.prometheus(config, *flags, data="far").start()
    else:
        server = world.server(config, *flags, data="far", name="far").start()
    now_ms = int(time.time() * 1000)
    series = [({"__name__": f"far_{i % 5}", "i": str(i), "path": f"/a\u2603{i}"},
               [(now_ms - 3600_000 + k * 15_000, k * i / 7) for k in range(230)]) for i in range(50)]
    assert server.write(series).status in (200, 204)
    return server


def reader(world, url, more="", glob=""):
    config = f"global: {{{glob}}}\nremote_read:\n  - url: {url}/api/v1/read\n    read_recent: true\n{more}"
    return world.server(config, data="near", name="near").start()


@pytest.mark.parametrize("kind", ["prometheus", "narthex"])
def test_a_query_sees_what_the_other_store_holds(world, kind):
    far = store(world, kind)
    near = reader(world, far.url)
    at_s = time.time()
    theirs = far.samples(SELECTOR, "2h", at_s)
    ours = near.samples(SELECTOR, "2h", at_s)
    assert len(theirs) == 50
    # A store shows its external labels to others.
    assert {key.replace(',zone="far"', ""): points for key, points in ours.items()} == theirs
    assert near.query('sum(rate(far_1[5m])) by (zone)') != {}
    for query in ("count(far_1)", "max(max_over_time(far_2[30m]))"):
        assert near.query(query, time=at_s) == far.query(query, time=at_s), query


def test_required_matchers_and_external_labels(world):
    far = store(world, "prometheus")
    near = reader(world, far.url, "    required_matchers: {path: \"/a\u26037\"}\n",
                  "external_labels: {zone: far}")
    assert near.query("far_2") == {}
    # Asked for with our own external label, which the answer then does not show.
    assert list(near.query('far_2{path="/a\u26037"}')) == ['far_2{i="7",path="/a\u26037"}']


def warnings_of(server, expression):
    return server.get("/api/v1/query", query=expression).json().get("warnings", [])


def test_a_store_that_is_away_is_told_and_does_not_stop_queries(world):
    near = reader(world, f"http://127.0.0.1:{harness.free_port()}")
    assert near.query("vector(1)") == {"{}": "1"}
    assert near.query("far_1") == {}
    assert "remote read failed" in near.log()


def test_failures_are_warned_of_as_by_the_original(world):
    """The same file for both: one store that is away, one that refuses."""
    refuses = world.target("x")  # knows GET alone
    away = harness.free_port()
    config = (f"remote_read:\n- {{url: 'http://127.0.0.1:{away}/r', read_recent: true, remote_timeout: 5s}}\n"
              f"- {{url: 'http://{refuses.address}/r', read_recent: true, remote_timeout: 5s}}\n")
    near = world.server(config).start()
    original = world.prometheus(config, data="original").start()

    for expression in ("far_1", "sum(far_1) or far_2", "vector(1)"):
        ours, theirs = warnings_of(near, expression), warnings_of(original, expression)
        assert bool(ours) == bool(theirs), (expression, ours, theirs)
        for server in (near, original):
            assert server.get("/api/v1/query", query=expression).status == 200
        if theirs:
            # The original tells the first that fails, ours each of them.
            refused = f'remote_read: error sending request: Post "http://127.0.0.1:{away}/r": dial tcp 127.0.0.1:{away}: connect: '
            assert any(one.startswith(refused) for one in ours), ours
            assert any("returned http status 501" in one for one in ours), ours
            assert {one.split(":")[0] for one in theirs} == {"remote_read"}, theirs
