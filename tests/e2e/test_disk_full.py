# SPDX-License-Identifier: Apache-2.0
"""The disk is full for a while: it is told, nothing that was acknowledged is lost, and it goes on by itself when there is space.

The disk is a small tmpfs in a mount namespace of its own, where the machine lets us make one, and a limit on the size of files
everywhere: that one is never skipped.
"""
import resource
import shutil
import subprocess
import time

import harness
import pytest

DISK_BYTES = 8 << 20
SERIES = 50


class SmallDisk:
    """A tmpfs that only the processes of one mount namespace see; a sleeping process keeps it alive through restarts."""

    def __init__(self, mount_point, ways):
        self.mount_point = mount_point
        script = f"mount -t tmpfs -o size={DISK_BYTES} none '{mount_point}' && echo mounted && exec sleep 600"
        self.holder = subprocess.Popen([*ways, "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.mounted = self.holder.stdout.readline().strip() == "mounted"
        self.prefix = ["nsenter", "-t", str(self.holder.pid), "-m"]
        if "-U" in ways:
            self.prefix += ["-U", "--preserve-credentials"]

    def run(self, *command):
        return subprocess.run([*self.prefix, *command], capture_output=True, text=True, check=False)

    def attach(self, server):
        server.command = self.prefix + server.command

    def fill(self, _server):
        self.run("dd", "if=/dev/zero", f"of={self.mount_point}/filler", "bs=64k")

    def make_room(self, _server):
        assert self.run("rm", f"{self.mount_point}/filler").returncode == 0

    def close(self):
        self.holder.kill()
        self.holder.wait()


class SmallFiles:
    """No file may grow: every write behind the limit fails, as on a full disk, until the limit is lifted."""

    def attach(self, server):
        pass

    def fill(self, server):
        _limit_files(server, 4096)

    def make_room(self, server):
        _limit_files(server, resource.RLIM_INFINITY)

    def close(self):
        pass


def _limit_files(server, soft):
    hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (soft, hard))


def make_disk(kind, directory):
    if kind == "files":
        return SmallFiles()
    assert shutil.which("unshare") and shutil.which("nsenter"), "util-linux is part of every machine that runs these tests"
    for ways in (["unshare", "-m"], ["unshare", "-U", "-r", "-m"]):
        disk = SmallDisk(directory, ways)
        if disk.mounted:
            return disk
        disk.close()
    pytest.skip("this machine lets nobody mount a tmpfs: only the limit on file sizes is tried")


class Load:
    """Posts batches; what was answered with 2xx counts."""

    def __init__(self, server):
        self.server, self.acknowledged, self.t_ms = server, {}, int(time.time() * 1000) - 600_000

    def post(self):
        self.t_ms += 1000
        batch = [({"__name__": "posted", "series": str(i)}, [(self.t_ms, float(self.t_ms % 1_000_000 + i))]) for i in range(SERIES)]
        reply = self.server.write(batch)
        if reply.status in (200, 204):
            for labels, samples in batch:
                self.acknowledged.setdefault(harness.series_key(labels), {})[self.t_ms / 1000] = samples[0][1]
        return reply

    def check(self):
        seen = self.server.samples("posted", "30m")
        for series, samples in self.acknowledged.items():
            there = {t: float(v) for t, v in seen.get(series, [])}
            lost = {t: v for t, v in samples.items() if there.get(t) != v}
            assert not lost, f"{series}: {len(lost)} of {len(samples)} acknowledged samples are lost: {sorted(lost)[:5]}"


@pytest.mark.parametrize("kind", ["tmpfs", "files"])
def test_a_full_disk_is_told_and_left_behind_without_a_restart(world, kind):
    target = world.target("\n".join(f'scraped_total{{i="{i}"}} {i}' for i in range(300)) + "\n")
    (world.directory / "data").mkdir()
    disk = make_disk(kind, world.directory / "data")
    try:
        server = world.server(harness.scrape_config(("app", [target.address]), interval="1s"), "--web.enable-remote-write-receiver")
        disk.attach(server)
        server.start()
        harness.wait_until("the target to be up", lambda: list(server.query('up{job="app"}').values()) == ["1"])
        load = Load(server)
        for _ in range(20):
            assert load.post().status in (200, 204)

        disk.fill(server)

        refused = harness.wait_until("a write to be refused", lambda: (r := load.post()).status >= 500 and r)
        assert "No space left" in refused.text or "File too large" in refused.text
        harness.wait_until("a scrape to tell it", lambda: "No space left" in server.log() or "File too large" in server.log())
        for _ in range(20):
            load.post()
        assert server.get("/-/healthy").status == 200
        assert server.log().count("log cannot be written") == 1 and "log is written again" not in server.log()
        load.check()

        disk.make_room(server)

        harness.wait_until("writes to go on", lambda: load.post().status in (200, 204))
        for _ in range(20):
            assert load.post().status in (200, 204)
        assert server.log().count("log is written again") == 1
        now = time.time()
        harness.wait_until("scrapes to go on", lambda: [t for t, _ in server.samples("scraped_total", "10s").popitem()[1] if t > now])
        load.check()
        server.kill()
        server.start()
        load.check()
        assert load.post().status in (200, 204)
    finally:
        disk.close()
