# SPDX-License-Identifier: Apache-2.0
"""The command node-exporter against the original on the same machine, and the pages it serves."""
import concurrent.futures
import gzip
import re
import signal
import socket
import urllib.request

import pytest

import harness

COLLECTORS = ("cpu", "diskstats", "filefd", "filesystem", "loadavg", "meminfo", "netdev", "netstat",
              "pressure", "sockstat", "stat", "time", "uname", "vmstat")
# The same on both sides: Debian's package changes some defaults, and they differ between versions.
SAME = [
    "--collector.filesystem.mount-points-exclude=^/(dev|proc|sys|run/credentials/.+)($|/)",
    "--collector.netdev.device-exclude=^$",
    "--collector.diskstats.device-exclude=^(loop|ram|zram)",
    "--collector.netstat.fields=.*",
    "--collector.vmstat.fields=.*",
]
# What came or went between Debian's version 1.5 and 1.12, which we follow.
ONLY_OLD = re.compile(r"node_memory_(Balloon|FileHugePages|FilePmdMapped|Hugetlb|KReclaimable|"
                      r"SecPageTables|Unaccepted|GPUActive|GPUReclaim)_bytes")
ONLY_NEW = {"node_cpu_online", "node_cpu_isolated", "node_filesystem_mount_info",
            "node_filesystem_purgeable_bytes", "node_pressure_irq_stalled_seconds_total",
            "process_network_receive_bytes_total", "process_network_transmit_bytes_total"}
NEW_LABELS = re.compile(r'device_error="[^"]*",|rotational="[^"]*",')
MOUNT = re.compile(r'mountpoint="[^"]*"')
NOT_COMPARED = re.compile(r"go_|node_exporter_build_info")
# Families whose values stay the same from one scrape to the next, whatever else the machine does.
CONSTANT = ("node_boot_time_seconds", "node_uname_info", "node_memory_MemTotal_bytes", "node_memory_SwapTotal_bytes",
            "node_memory_CommitLimit_bytes", "node_memory_VmallocTotal_bytes", "node_memory_Hugepagesize_bytes",
            "node_filefd_maximum", "node_filesystem_size_bytes", "node_filesystem_files", "node_filesystem_readonly",
            "node_time_zone_offset_seconds", "node_time_clocksource_available_info",
            "node_time_clocksource_current_info", "node_netstat_Ip_Forwarding", "node_netstat_Ip_DefaultTTL",
            "node_netstat_Tcp_MaxConn", "node_disk_info")


class Exporter(harness.Server):
    """Either program; ready when its first page is."""

    def wait_ready(self, deadline_s=harness.DEADLINE_S):
        def is_ready():
            assert self.process.poll() is None, self.log_tail()
            return self.get("/").status == 200
        harness.wait_until(f"{self.name} to answer", is_ready, deadline_s, pause_s=0.01)


def start(world, *flags, original=False):
    port = harness.free_port()
    command = ([harness.original("prometheus-node-exporter")] if original
               else [str(world.binary), "node-exporter"])
    server = Exporter([*command, f"--web.listen-address=127.0.0.1:{port}", *flags], world.directory, port,
                      "original" if original else f"narthex-{len(world.servers)}")
    world.servers.append(server)
    return server.start()


def parse(text):
    """({family: type}, {series: value}) of a page, whose order is checked on the way."""
    types, series, families = {}, {}, []
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            types[name] = kind
            families.append(name)
        elif not line.startswith("#"):
            key, value = line.rsplit(" ", 1)
            assert key not in series, f"{key} twice"
            assert key.startswith(families[-1]), key
            series[key] = float(value)
    assert families == sorted(families)
    return types, series


def compared(series, types):
    """What both must say. Of a mount that cannot be reached (a chroot sees those of its host) 1.12 tells `readonly`, 1.5 nothing."""
    broken = {MOUNT.search(key).group() for key, value in series.items()
              if key.startswith("node_filesystem_device_error{") and value == 1}
    return {NEW_LABELS.sub("", key): value for key, value in series.items()
            if key.split("{")[0] in types and not NOT_COMPARED.match(key)
            and not (key.startswith("node_filesystem_readonly{") and MOUNT.search(key).group() in broken)}


@pytest.fixture
def pages(world):
    """What both programs say of this machine, with the collectors that we have: ((types, series), (types, series))."""
    flags = ["--collector.disable-defaults", *(f"--collector.{name}" for name in COLLECTORS), *SAME]
    theirs, ours = start(world, *flags, original=True), start(world, *flags)
    return parse(theirs.get("/metrics").text), parse(ours.get("/metrics").text)


def test_families_and_types_are_those_of_the_original(pages):
    (their_types, _), (our_types, _) = pages
    theirs = {name for name in their_types if not NOT_COMPARED.match(name) and not ONLY_OLD.match(name)}

    assert theirs - set(our_types) == set()
    assert set(our_types) - theirs - {"node_exporter_build_info"} <= ONLY_NEW
    assert {name: our_types[name] for name in theirs} == {name: their_types[name] for name in theirs}


def test_series_and_their_order_are_those_of_the_original(pages):
    (their_types, theirs), (our_types, ours) = pages
    both = set(their_types) & set(our_types)

    theirs, ours = compared(theirs, both), compared(ours, both)

    assert list(ours) == list(theirs)
    assert len(ours) > 200


def test_constant_values_are_those_of_the_original(pages):
    (their_types, theirs), (our_types, ours) = pages
    both = {name for name in CONSTANT if name in their_types and name in our_types}
    theirs, ours = compared(theirs, both), compared(ours, both)

    assert ours == theirs
    assert len(both) > 10


def test_moving_values_are_near_those_of_the_original(pages):
    (_, theirs), (_, ours) = pages

    for key in ("node_time_seconds", 'node_cpu_seconds_total{cpu="0",mode="idle"}', "node_context_switches_total",
                "node_intr_total", "node_forks_total", "node_vmstat_pgfault",
                'node_network_receive_bytes_total{device="lo"}', "node_memory_MemAvailable_bytes"):
        assert ours[key] == pytest.approx(theirs[key], rel=0.2), key


def test_process_and_handler_metrics_can_be_left_out(world):
    types, series = parse(start(world).get("/metrics").text)

    assert types["process_resident_memory_bytes"] == "gauge"
    assert series["promhttp_metric_handler_requests_in_flight"] == 1
    assert series['promhttp_metric_handler_requests_total{code="503"}'] == 0

    types, _ = parse(start(world, "--web.disable-exporter-metrics").get("/metrics").text)

    assert types and all(name.startswith("node_") for name in types)


def test_requests_filter_collectors_and_families(world):
    server = start(world)

    def collectors(**parameters):
        _, series = parse(server.get("/metrics", **parameters).text)
        return {key.split('"')[1] for key in series if key.startswith("node_scrape_collector_success")}

    assert collectors() == set(COLLECTORS)
    assert collectors(**{"collect[]": ["cpu", "time"]}) == {"cpu", "time"}
    assert collectors(**{"exclude[]": ["cpu", "nonsense"]}) == set(COLLECTORS) - {"cpu"}
    assert set(parse(server.get("/metrics", **{"name[]": ["node_load1", "process_open_fds"]}).text)[0]) == {
        "node_load1", "process_open_fds"}


@pytest.mark.parametrize("parameters, status, text", [
    ({"collect[]": "hwmon"}, 400, "Couldn't create filtered metrics handler: couldn't create collector: missing collector: hwmon"),
    ({"collect[]": "uname"}, 400, "Couldn't create filtered metrics handler: couldn't create collector: disabled collector: uname"),
    ({"collect[]": "cpu", "exclude[]": "time"}, 400, "Combined collect and exclude queries are not allowed."),
])
def test_filters_that_make_no_sense_are_told(world, parameters, status, text):
    reply = start(world, "--no-collector.uname").get("/metrics", **parameters)

    assert (reply.status, reply.text.strip()) == (status, text)


def test_page_says_its_format_and_compresses_when_asked(world):
    server = start(world)
    url = server.url + "/metrics"

    plain = harness.http_call(url)
    packed = harness.http_call(url, headers={"Accept-Encoding": "gzip"})
    asked = harness.http_call(url, headers={
        "Accept": "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5;escaping=allow-utf-8,*/*;q=0.1"})

    assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
    assert asked.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8"
    assert packed.headers["Content-Encoding"] == "gzip"
    assert set(parse(gzip.decompress(packed.body).decode())[0]) == set(parse(plain.text)[0])
    assert len(packed.body) * 3 < len(plain.body)


def test_landing_page_leads_to_the_metrics(world):
    server = start(world, "--web.telemetry-path=/m&m")

    page = server.get("/")

    assert page.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert "Node Exporter" in page.text and 'href="/m&#38;m"' in page.text
    assert server.get("/m&m").text.startswith("# HELP node_")
    assert server.get("/metrics").status == 404


def test_flags_of_the_usual_daemonset_are_taken(world):
    server = start(world, "--path.procfs=/proc", "--path.sysfs=/sys", "--path.rootfs=/", "--path.udev.data=/run/udev/data",
                   "--no-collector.wifi", "--no-collector.hwmon", "--no-collector.btrfs",
                   "--collector.filesystem.mount-points-exclude=^/(dev|proc|sys|run/k3s/containerd/.+|var/lib/docker/.+|var/lib/kubelet/pods/.+)($|/)",
                   "--collector.netclass.ignored-devices=^(veth.*|[a-f0-9]{15})$",
                   "--collector.netdev.device-exclude=^(veth.*|[a-f0-9]{15})$")

    _, series = parse(server.get("/metrics").text)

    assert 'node_network_receive_bytes_total{device="lo"}' in series
    assert "collector.netclass.ignored-devices" in server.log()


@pytest.mark.parametrize("flag, told", [
    ("--collector.wifi", "narthex lacks this collector"),
    ("--collector.netdev.device-include=(", "collector.netdev.device-include"),
    ("--collector.cpus", "--collector.cpu"),
    ("--web.telemetry-path=metrics", "--web.telemetry-path"),
    ("--log.level=loud", "--log.level"),
])
def test_wrong_flags_end_the_start_with_a_reason(world, flag, told):
    ended = world.run("node-exporter", flag)

    assert ended.returncode != 0
    assert told in ended.stderr


def test_port_in_use_ends_the_start_with_a_reason(world):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = world.run("node-exporter", f"--web.listen-address=127.0.0.1:{taken.getsockname()[1]}")

    assert ended.returncode == 1
    assert "cannot listen" in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_in_order(world, number):
    server = start(world)
    assert server.get("/metrics").status == 200

    server.signal(number)

    assert server.process.wait(harness.DEADLINE_S) == 0
    assert "stopping" in server.log()


def test_many_clients_get_whole_pages(world):
    server = start(world)

    def fetch(_):
        with urllib.request.urlopen(server.url + "/metrics", timeout=harness.DEADLINE_S) as reply:
            return parse(reply.read().decode())[0]

    with concurrent.futures.ThreadPoolExecutor(16) as crowd:
        pages = list(crowd.map(fetch, range(64)))

    assert all(page == pages[0] for page in pages)
