# SPDX-License-Identifier: Apache-2.0
"""A server whose workers are all busy with queries still says that it is well, and how it is."""
import concurrent.futures
import threading
import time

import harness

SLOW = "count(count_over_time(vector(1)[3000h:1s]))"


def test_health_and_metrics_are_answered_while_queries_fill_every_worker(world):
    server = world.server("global: {}\n", "--query.max-concurrency=2", "--query.timeout=100s",
                          "--query.max-samples=1000000000").start()
    stop = threading.Event()

    def ask(_):
        while not stop.is_set():
            assert server.get("/api/v1/query", query=SLOW, timeout_s=120).status == 200

    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        asking = [pool.submit(ask, i) for i in range(30)]
        try:
            harness.wait_until("all workers to be busy",
                               lambda: server.metric("prometheus_engine_queries") >= 1)
            for _ in range(20):
                began = time.monotonic()
                assert server.get("/-/healthy", timeout_s=30).status == 200
                assert server.get("/-/ready", timeout_s=30).status == 200
                assert server.metric("prometheus_engine_queries_concurrent_max") == 2
                # Behind thirty queries it would take as long as a dozen of them.
                assert time.monotonic() - began < 10
        finally:
            stop.set()
        for one in asking:
            one.result()
