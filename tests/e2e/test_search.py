# SPDX-License-Identifier: Apache-2.0
"""The search API: names and values by what a person types, as lines of JSON."""
import json
import time

import pytest

import harness

NAMES = ["http_requests_total", "http_request_duration_seconds", "node_cpu_seconds_total", "up", "requests_http"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    world = harness.World(tmp_path_factory.mktemp("search"))
    try:
        page = "# HELP up_text Some help.\n# TYPE up_text gauge\nup_text 1\n"
        target = world.target(page)
        server = world.server(harness.scrape_config(("page", [target.address])), "--enable-feature=search-api",
                              "--web.search.max-limit=200", "--web.enable-remote-write-receiver").start()
        now_ms = int(time.time() * 1000)
        series = [({"__name__": name, "job": "a", "zone": f"z{i}"}, [(now_ms, 1.0)]) for i, name in enumerate(NAMES)]
        series += [({"__name__": "many", "pod": f"pod-{i:04}", "job": "b"}, [(now_ms, 1.0)]) for i in range(300)]
        assert server.write(series).status in (200, 204)
        harness.wait_until("a scrape", lambda: server.query("up_text"))
        yield server
    finally:
        world.close()


def search(server, what, **parameters):
    reply = server.get(f"/api/v1/search/{what}", **parameters)
    assert reply.status == 200 and reply.headers["Content-Type"] == "application/x-ndjson; charset=utf-8", reply.text
    lines = [json.loads(line) for line in reply.text.splitlines()]
    assert lines[-1]["status"] == "success" and all(list(line) == ["results"] for line in lines[:-1])
    return lines


def values(lines, key="name"):
    return [row[key] for line in lines[:-1] for row in line["results"]]


def test_terms_choose_and_scores_order(server):
    lines = search(server, "metric_names", **{"search[]": "http", "sort_by": "score", "include_score": "true"})

    assert values(lines) == ["http_request_duration_seconds", "http_requests_total", "requests_http"]
    scores = [row["score"] for row in lines[0]["results"]]
    assert scores[:2] == [1, 1] and 0 < scores[2] < 1
    assert lines[-1] == {"status": "success", "has_more": False}


def test_any_of_several_terms_will_do(server):
    lines = search(server, "metric_names", **{"search[]": ["node", "up"], "match[]": '{job="a"}'})
    assert values(lines) == ["node_cpu_seconds_total", "requests_http", "up"]  # u...p, in order
    folded = search(server, "metric_names", **{"search[]": "HTTP_REQUESTS", "case_sensitive": "false", "fuzz_threshold": "90"})
    assert values(folded) == ["http_requests_total"]
    assert values(search(server, "metric_names", **{"search[]": "HTTP_REQUESTS"})) == []


def test_slips_are_forgiven_if_asked_for(server):
    close = {"search[]": "http_reqeusts_total", "fuzz_alg": "jarowinkler"}
    assert values(search(server, "metric_names", **close)) == []
    assert "http_requests_total" in values(search(server, "metric_names", fuzz_threshold=90, **close))


def test_answers_come_in_batches_up_to_the_limit(server):
    lines = search(server, "label_values", label="pod", limit=150, batch_size=40)
    assert [len(line["results"]) for line in lines[:-1]] == [40, 40, 40, 30]
    assert values(lines, "value") == [f"pod-{i:04}" for i in range(150)] and lines[-1]["has_more"] is True
    down = search(server, "label_values", label="pod", sort_by="alpha", sort_dir="dsc", limit=2)
    assert values(down, "value") == ["pod-0299", "pod-0298"]
    assert len(values(search(server, "label_values", label="pod"), "value")) == 100
    assert search(server, "label_values", label="nosuch") == [{"results": []}, {"status": "success", "has_more": False}]


def test_label_names_and_metadata(server):
    assert values(search(server, "label_names", **{"match[]": "many"})) == ["__name__", "job", "pod"]
    (row,) = search(server, "metric_names", include_metadata="true", **{"search[]": "up_text"})[0]["results"]
    assert row == {"name": "up_text", "type": "gauge", "help": "Some help."}


@pytest.mark.parametrize("what, parameters, text", [
    ("metric_names", {"limit": "201"}, "exceeds the configured maximum (200, see --web.search.max-limit)"),
    ("metric_names", {"limit": "0"}, "must be a positive integer"),
    ("metric_names", {"batch_size": "x"}, "invalid batch_size"),
    ("metric_names", {"fuzz_threshold": "101"}, "must be 0-100"),
    ("metric_names", {"fuzz_alg": "soundex"}, "unsupported fuzz_alg"),
    ("metric_names", {"sort_dir": "asc"}, "only valid when sort_by is set"),
    ("metric_names", {"sort_by": "score"}, "requires search[]"),
    ("metric_names", {"sort_by": "size"}, "invalid sort_by"),
    ("metric_names", {"case_sensitive": "maybe"}, "must be boolean"),
    ("metric_names", {"include_metadata": "maybe"}, "must be boolean"),
    ("metric_names", {"search[]": ["a"] * 33}, "too many search[] terms"),
    ("metric_names", {"start": "5", "end": "4"}, "must not be before start"),
    ("label_values", {}, 'missing required parameter "label"'),
])
def test_what_is_asked_wrongly_is_refused(server, what, parameters, text):
    reply = server.get(f"/api/v1/search/{what}", **parameters)
    assert reply.status == 400 and reply.json()["errorType"] == "bad_data"
    assert text in reply.json()["error"]


def test_without_the_feature_there_is_no_search(world):
    reply = world.server("global: {}\n").start().get("/api/v1/search/metric_names")
    assert reply.status == 500 and reply.json()["errorType"] == "unavailable"
