# SPDX-License-Identifier: Apache-2.0
"""The first thing a user meets: flags, names, exit codes."""
import pytest

import harness


@pytest.fixture
def prometheus_link(world):
    link = world.directory / "prometheus"
    link.symlink_to(world.binary)
    return link


def test_version_names_the_program(world):
    shown = world.run("--version")

    assert shown.returncode == 0
    assert "narthex" in shown.stdout + shown.stderr


def test_help_lists_the_commands(world):
    assert "narthex help" in world.run("--help").stdout

    shown = world.run("help")

    assert shown.returncode == 0
    for command in ("server", "node-exporter", "tool"):
        assert command in shown.stdout


@pytest.mark.parametrize("flag", ["--help", "--version"])
@pytest.mark.parametrize("command", ["server", "node-exporter", "tool"])
def test_every_command_has_help_and_version(world, command, flag):
    shown = world.run(command, flag)

    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.strip() or shown.stderr.strip()


def test_server_help_has_the_flags_of_the_original(world):
    shown = world.run("server", "--help").stdout.replace("--[no-]", "--")

    for flag in ("--config.file", "--web.listen-address", "--storage.tsdb.path", "--web.enable-lifecycle",
                 "--storage.tsdb.retention.time", "--query.timeout", "--log.level"):
        assert flag in shown, flag


@pytest.mark.parametrize("wrong, meant", [
    ("--storage.tsdb.pth=x", "--storage.tsdb.path"),
    ("--config.fil=x", "--config.file"),
    ("--web.listen-adress=:1", "--web.listen-address"),
])
def test_unknown_flag_is_told_the_known_one(world, wrong, meant):
    shown = world.run("server", wrong)

    assert shown.returncode == 2
    assert meant in shown.stderr
    assert wrong.split("=")[0] in shown.stderr


def test_unknown_command_is_told_the_known_one(world):
    shown = world.run("servr")

    assert shown.returncode == 2
    assert "server" in shown.stderr


@pytest.mark.parametrize("flag, name", [
    ("--web.listen-address=127.0.0.1:notaport", "notaport"),
    ("--storage.tsdb.retention.time=soon", "soon"),
    ("--query.timeout=-", "query.timeout"),
    ("--log.level=loud", "loud"),
    ("--storage.agent.checkpoint-batch-size=0", "storage.agent.checkpoint-batch-size"),
])
def test_bad_flag_value_is_named(world, flag, name):
    config = world.write_file("prometheus.yml", "global: {}\n")

    shown = world.run("server", f"--config.file={config}", flag)

    assert shown.returncode in (1, 2)
    assert name in shown.stderr


def test_link_named_prometheus_takes_its_flags(world, prometheus_link):
    server = world.server("global: {}\n", "--web.enable-lifecycle", "--query.max-concurrency=4",
                          binary=prometheus_link).start()

    flags = server.api("status/flags")

    assert flags["query.max-concurrency"] == "4"
    assert flags["web.enable-lifecycle"] == "true"


def test_flags_take_a_separate_value_and_a_negation(world, prometheus_link):
    server = world.server("global: {}\n", "--query.max-samples", "1000", "--no-web.enable-lifecycle",
                          binary=prometheus_link).start()

    flags = server.api("status/flags")

    assert flags["query.max-samples"] == "1000"
    assert flags["web.enable-lifecycle"] == "false"


def test_second_server_on_one_directory_is_refused(world):
    world.server("global: {}\n").start()

    second = world.server("global: {}\n")
    second.start(ready=False)

    assert harness.wait_until("the second to give up", lambda: second.process.poll() is not None)
    assert second.process.returncode != 0
    assert "lock" in second.log()


def test_taken_port_is_named(world):
    first = world.server("global: {}\n").start()
    second = world.server("global: {}\n", f"--web.listen-address=127.0.0.1:{first.port}", data="second")
    second.command = [word for word in second.command if not word.endswith(f":{second.port}")]

    second.start(ready=False)

    harness.wait_until("the second to give up", lambda: second.process.poll() is not None)
    assert second.process.returncode != 0
    assert str(first.port) in second.log()


@pytest.mark.parametrize("log_format, mark", [("logfmt", "level="), ("json", '"level":')])
def test_log_format_is_obeyed(world, log_format, mark):
    server = world.server("global: {}\n", f"--log.format={log_format}").start()

    server.stop()

    assert mark in server.log()
