# SPDX-License-Identifier: Apache-2.0
"""narthex with no command and no configuration watches itself and the machine it runs on."""
import pathlib
import re

import pytest

import harness

CPU_MODES = {"idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"}

# One telling metric of each collector of the first set.
NODE_METRICS = [
    "node_cpu_seconds_total", "node_memory_MemTotal_bytes", "node_load1", "node_boot_time_seconds",
    "node_context_switches_total", "node_filesystem_size_bytes", "node_network_receive_bytes_total",
    "node_netstat_Tcp_CurrEstab", "node_sockstat_sockets_used", "node_filefd_allocated",
    "node_time_seconds", "node_uname_info", "node_vmstat_pgfault", "node_scrape_collector_success",
]


def machine_cpus():
    stat = pathlib.Path("/proc/stat").read_text()
    return set(re.findall(r"^cpu(\d+) ", stat, re.MULTILINE))


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    world = harness.World(tmp_path_factory.mktemp("all-in-one"))
    try:
        yield world.all_in_one().start()
    finally:
        world.close()


def test_both_targets_are_up(everything):
    up = harness.wait_until("both targets", lambda: (
        lambda found: len(found) == 2 and set(found.values()) == {"1"} and found)(
            everything.query("up")))

    healths = [target["health"] for target in everything.targets()]

    assert len(up) == 2
    assert healths == ["up", "up"]


def test_rate_has_a_value_for_every_core_and_mode(everything):
    wanted = {(cpu, mode) for cpu in machine_cpus() for mode in CPU_MODES}

    def rates():
        data = everything.api("query", query="rate(node_cpu_seconds_total[1m])")
        found = {(row["metric"]["cpu"], row["metric"]["mode"]) for row in data["result"]}
        return found == wanted and data["result"]

    rows = harness.wait_until("a rate for every core and mode", rates, deadline_s=120)

    assert all(0 <= float(row["value"][1]) <= 2 for row in rows)


@pytest.mark.parametrize("name", NODE_METRICS)
def test_node_metric_is_there(everything, name):
    harness.wait_until("a first scrape", lambda: everything.query("node_time_seconds"))

    assert everything.query(name), f"no series {name}"


def test_own_metrics_are_there(everything):
    harness.wait_until("a first scrape", lambda: everything.query("prometheus_build_info"))

    for name in ("prometheus_tsdb_head_series", "process_resident_memory_bytes",
                 "prometheus_tsdb_head_samples_appended_total"):
        assert everything.query(name), f"no series {name}"


@pytest.mark.parametrize("series", [
    'prometheus_engine_query_duration_seconds{slice="inner_eval",quantile="0.9"}',
    'prometheus_engine_query_duration_seconds_count{slice="queue_time"}',
    'prometheus_target_sync_length_seconds_sum{scrape_job="node"}',
    'prometheus_tsdb_wal_fsync_duration_seconds{quantile="0.99"}',
])
def test_summaries_of_the_original_s_dashboards_are_on_the_page(everything, series):
    everything.query("vector(1)")

    page = everything.get("/metrics").text

    assert re.search("^" + re.escape(series) + r" \S+$", page, re.MULTILINE), page[:2000]


def test_synthetic_series_are_there(everything):
    harness.wait_until("two targets", lambda: len(everything.query("up")) == 2)

    for name in ("scrape_duration_seconds", "scrape_samples_scraped", "scrape_series_added",
                 "scrape_samples_post_metric_relabeling"):
        assert len(everything.query(name)) == 2, name


def test_web_page_is_served(everything):
    start = everything.get("/")
    page = everything.get("/query")

    assert start.status == 200
    assert page.status == 200
    assert "text/html" in page.headers["Content-Type"]
    assert "<html" in page.text.lower()


def test_default_page_has_what_promtool_can_read(everything):
    page = everything.get("/metrics").text

    checked = harness.promtool("check", "metrics", stdin=page)

    # 3 is a matter of taste in names; 1 would be a page that cannot be parsed.
    assert checked.returncode in (0, 3), checked.stderr


def test_sigterm_ends_it_with_status_0(tmp_path):
    world = harness.World(tmp_path)
    try:
        server = world.all_in_one().start()
        assert server.stop() == 0
    finally:
        world.close()
