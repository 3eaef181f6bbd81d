# SPDX-License-Identifier: Apache-2.0
"""A short run of tests/differential: random queries on random data, the peer's answers against ours."""
import pathlib
import sys

import pytest

import harness

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "differential"))
import differential  # noqa: E402


@pytest.mark.parametrize("seed", [1, 2])
def test_random_queries_are_answered_as_the_peer_answers_them(world, seed):
    assert differential.run(["--narthex", str(world.binary), "--peer", harness.original("prometheus"),
                             "--seed", str(seed), "--count", "2000"]) == 0
