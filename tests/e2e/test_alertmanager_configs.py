# SPDX-License-Identifier: Apache-2.0
"""Configurations that the original takes are taken, and those that it refuses are refused, but for what DIFFERS says and why.

alertmanager_configs.json has for each whether amtool 0.33 took it. Where an amtool of 0.33 or later is at hand ($AMTOOL_PEER), it is asked
again.
"""
import json
import os
import pathlib
import re
import subprocess

import pytest

CONFIGS = json.loads(pathlib.Path(__file__).with_name("alertmanager_configs.json").read_text())
# A part of the text, and why the verdict may be another.
DIFFERS = {
    "route: {receiver: a, labels: {x: y}}": "0.34 knows labels of routes",
    "grant_type: foo": "no token could be had with it",
    "min_version: TLS13, max_version: TLS12": "no connection could be made with it",
    "inhibit_rules: [null]": "the original ends with a nil pointer when an alert comes",
}


def write_all(world):
    return [world.write_file(f"c{number}.yml", text).name for number, (_, text) in enumerate(CONFIGS)]


def check(world, command, *names):
    return subprocess.run([*command, "check-config", *names], capture_output=True, text=True, check=False, cwd=world.directory, timeout=300)


def compare(found):
    wrong = [f"{'taken' if was else 'refused'} by the original: {text}" for (was, text), is_taken in zip(CONFIGS, found)
             if was != is_taken and not any(part in text for part in DIFFERS)]
    assert not wrong, "\n".join(wrong)


def test_configurations_are_taken_and_refused_as_by_the_original(world):
    names = write_all(world)
    run = check(world, [str(world.binary), "tool"], *names)
    said = dict(re.findall(r"^Checking '(c\d+\.yml)' +(SUCCESS|FAILED)", run.stdout, re.M))
    assert run.returncode == 1 and set(said) == set(names), run.stdout[-2000:] + run.stderr[-2000:]
    found = [said[name] == "SUCCESS" for name in names]
    compare(found)
    for part in DIFFERS:
        assert any(part in text and was != is_taken for (was, text), is_taken in zip(CONFIGS, found)), f"no difference any more: {part}"


def test_what_was_recorded_is_what_the_original_says(world):
    tool = os.environ.get("AMTOOL_PEER")
    if not tool:
        pytest.skip("verdicts are amtool 0.33's; $AMTOOL_PEER may name one")
    # One by one: some end it with a fault of its own.
    assert [was for was, _ in CONFIGS] == [check(world, [tool], name).returncode == 0 for name in write_all(world)]
