# SPDX-License-Identifier: Apache-2.0
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import harness  # noqa: E402  (needs the path above)


@pytest.fixture
def world(tmp_path, request):
    one = harness.World(tmp_path)
    request.node.world = one
    yield one
    one.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows how the logs of its servers end."""
    report = (yield).get_result()
    if report.failed and call.when == "call" and hasattr(item, "world"):
        for server in item.world.servers:
            report.sections.append((f"end of {server.log_path}", server.log_tail()))
