# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document says what the server does: every route it names answers, and none is missing."""
import pathlib
import re

import pytest
import yaml

import harness

ROUTES = pathlib.Path(__file__).parents[2] / "src" / "api" / "routes.c"
BITS = {"GET": "get", "POST": "post", "PUT": "put"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    world = harness.World(tmp_path_factory.mktemp("openapi"))
    try:
        yield world.server("global: {}\n", "--web.external-url=http://example.org/",
                           "--enable-feature=search-api").start()
    finally:
        world.close()


@pytest.fixture(scope="module")
def document(server):
    reply = server.get("/api/v1/openapi.yaml")
    assert reply.status == 200 and reply.headers["Content-Type"].startswith("application/yaml")
    return yaml.safe_load(reply.text)


def test_every_route_is_in_it_and_nothing_else(document):
    table = {}
    for methods, pattern in re.findall(r'^    \{([A-Z |]+), "/api/v1(/[^"*]+)",', ROUTES.read_text(), re.M):
        path = re.sub(r":(\w+)", r"{\1}", pattern)
        table[path] = {BITS[one.strip()] for one in methods.split("|")}

    assert len(table) > 30
    assert {path: set(operations) for path, operations in document["paths"].items()} == table


def test_its_references_lead_somewhere(document):
    def walk(node):
        if isinstance(node, dict):
            for key, value in node.items():
                if key == "$ref":
                    target = document
                    for part in value.removeprefix("#/").split("/"):
                        target = target[part]
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)
    walk(document)
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))
    assert document["servers"] == [{"url": "http://example.org/api/v1"}]


def test_required_parameters_are_required(server, document):
    for path, operations in document["paths"].items():
        operation = operations.get("get")
        required = [one["name"] for one in (operation or {}).get("parameters", []) if one["required"]]
        if not required or "{" in path or path == "/parse_query":
            continue
        reply = server.get("/api/v1" + path)
        assert reply.status in (400, 404), (path, required, reply.text[:200])


def test_the_version_can_be_chosen(server):
    for asked, given in (("3.2", "3.2.0"), ("3.2.0", "3.2.0"), ("3.1", "3.1.0"), ("2.0", "3.1.0")):
        text = server.get("/api/v1/openapi.yaml", openapi_version=asked).text
        assert text.startswith(f"openapi: {given}\n")
