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


def test_a_store_that_is_away_is_told_and_does_not_stop_queries(world):
    near = reader(world, f"http://127.0.0.1:{harness.free_port()}")
    assert near.query("vector(1)") == {"{}": "1"}
    assert near.query("far_1") == {}
    assert "remote read failed" in near.log()
