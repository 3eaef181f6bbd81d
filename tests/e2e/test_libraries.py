# SPDX-License-Identifier: Apache-2.0
"""Libraries that are loaded when something needs them: not before, and what is said where they are missing."""
import pathlib

import harness
from test_scrape import PAGE, certificates  # noqa: F401 (a fixture)


def has_loaded_curl(server):
    return "/libcurl-gnutls.so" in pathlib.Path(f"/proc/{server.process.pid}/maps").read_text()


def secured(world, certificates):  # noqa: F811
    target = world.target(PAGE, tls={"cert": certificates / "server.crt", "key": certificates / "server.key"})
    return "secured", [target.address], f"scheme: https\ntls_config: {{ca_file: {certificates}/ca.crt}}"


def wait_for_up(server, job, value):
    harness.wait_until(f"up of {job} to be {value}",
                       lambda: list(server.query(f'up{{job="{job}"}}').values()) == [value])


def test_libcurl_is_loaded_when_a_target_needs_it(world, certificates):  # noqa: F811
    plain = ("plain", [world.target(PAGE).address])
    named = ("named", [f"localhost:{world.target(PAGE).port}"])
    server = world.server(harness.scrape_config(plain, named), "--web.enable-lifecycle").start()
    wait_for_up(server, "plain", "1")
    wait_for_up(server, "named", "1")
    assert not has_loaded_curl(server)

    world.write_file(f"{server.name}.yml", harness.scrape_config(plain, secured(world, certificates)))
    server.reload()

    wait_for_up(server, "secured", "1")
    assert has_loaded_curl(server)


def test_a_missing_libcurl_is_told_by_the_targets_that_need_it(world, certificates, monkeypatch):  # noqa: F811
    world.write_file("broken/libcurl-gnutls.so.4", "no library")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(world.directory / "broken"))
    plain = ("plain", [world.target(PAGE).address])
    server = world.server(harness.scrape_config(plain, secured(world, certificates))).start()

    wait_for_up(server, "plain", "1")
    wait_for_up(server, "secured", "0")

    told = {target["labels"]["job"]: target["lastError"] for target in server.targets()}
    assert "this request needs libcurl-gnutls.so.4 (Debian's package libcurl3-gnutls): " in told["secured"]
    assert told["plain"] == ""
