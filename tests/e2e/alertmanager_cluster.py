# SPDX-License-Identifier: Apache-2.0
"""Several instances of narthex alertmanager on one PostgreSQL, and what can happen to them: they are killed, paused, cut off."""
import collections
import glob
import json
import os
import pathlib
import pwd
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import alertmanagers
import harness

CONFIG = """\
route:
  receiver: hook
  group_by: [alertname]
  group_wait: 100ms
  group_interval: 1s
  repeat_interval: 1h
receivers:
- name: hook
  webhook_configs: [{url: '%s/hook', send_resolved: %s}]
"""


class Postgres:
    """A private server on a Unix socket and a loopback port. It does not run as root: then it is the user postgres."""

    def __init__(self):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"), key=lambda p: int(p.split("/")[4]))
        assert found, "no PostgreSQL server; the Debian package is postgresql"
        self.bin = pathlib.Path(found[-1]).parent
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="narthex-pg-"))
        self.as_user = []
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.directory, user.pw_uid, user.pw_gid)
            self.as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        self.port = harness.free_port()
        self.url = f"postgres://narthex@127.0.0.1:{self.port}/postgres?sslmode=disable"
        subprocess.run([*self.as_user, self.bin / "initdb", "-D", self.directory / "data", "-U", "narthex", "-A", "trust", "-N",
                        "--no-locale", "-E", "UTF8"], check=True, stdout=subprocess.DEVNULL, cwd=self.directory)
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [*self.as_user, self.bin / "postgres", "-D", self.directory / "data", "-k", self.directory, "-p", str(self.port),
             "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=40"],
            stdin=subprocess.DEVNULL, stdout=open(self.directory / "log", "ab"), stderr=subprocess.STDOUT, cwd=self.directory,
            preexec_fn=harness._die_with_parent)
        harness.wait_until("PostgreSQL to answer", lambda: self.sql("select 1") == "1")

    def stop(self):
        # Fast: it ends without waiting for its clients.
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)

    def sql(self, text):
        run = subprocess.run([self.bin / "psql", "-h", self.directory, "-p", str(self.port), "-U", "narthex", "-d", "postgres",
                              "-Atc", text], capture_output=True, text=True, check=False, cwd="/")
        return run.stdout.strip() if run.returncode == 0 else None

    def close(self):
        if self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


class Cluster:
    """Instances of one name each; restart() keeps data and port."""

    def __init__(self, world, url, listener, count=3, lease="1s", send_resolved=False, poll="200ms"):
        self.world, self.listener, self.members = world, listener, []
        for i in range(count):
            self.members.append(alertmanagers.start(
                world, CONFIG % (listener.url, "true" if send_resolved else "false"), f"--storage.database={url}",
                f"--storage.database-lease={lease}", f"--storage.database-poll={poll}", f"--cluster.peer-name=m{i}",
                f"--cluster.advertise-address=127.0.0.1:{9094 + i}", name=f"m{i}"))

    def send(self, documents):
        """To all that take them, as a Prometheus does."""
        body = json.dumps(documents).encode()
        for member in self.members:
            try:
                harness.http_call(member.url + "/api/v2/alerts", data=body, method="POST",
                                  headers={"Content-Type": "application/json"}, timeout_s=0.5)
            except OSError:
                pass  # killed, paused: it gets them the next time


def metric(server, name):
    """The sum of a metric's series."""
    total = 0.0
    for line in server.get("/metrics").text.splitlines():
        if line.split("{")[0].split(" ")[0] == name:
            total += float(line.rsplit(" ", 1)[1])
    return total


class Storm:
    """Alerts come, each once; all that stand are sent again and again. Meanwhile one instance after the other is killed or paused."""

    def __init__(self, cluster, seed, alerts_per_s, pause_s):
        self.cluster, self.random = cluster, random.Random(seed)
        self.rate, self.pause_s = alerts_per_s, pause_s
        self.standing = int(alerts_per_s * 60)  # how many are sent again; older ones have been told long ago
        self.sent = []
        self.kills = self.pauses = 0
        self.end = threading.Event()

    def feed(self):
        begun = time.monotonic()
        while not self.end.is_set():
            wanted = int((time.monotonic() - begun) * self.rate)
            while len(self.sent) < wanted:
                self.sent.append(f"A{len(self.sent)}")
            self.resend()
            time.sleep(0.3)

    def resend(self):
        self.cluster.send([alertmanagers.alert({"alertname": name, "job": "j"}) for name in self.sent[-self.standing:]])

    def hurt_one(self):
        member = self.random.choice(self.cluster.members)
        if self.random.random() < 0.5:
            self.kills += 1
            member.kill()
            time.sleep(self.random.uniform(0, 0.5))
            member.start()
        else:
            self.pauses += 1
            member.signal(signal.SIGSTOP)
            time.sleep(self.pause_s * self.random.uniform(0.3, 1.5))
            member.signal(signal.SIGCONT)

    def run(self, seconds):
        feeder = threading.Thread(target=self.feed)
        feeder.start()
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until:
                time.sleep(self.random.uniform(0.1, 0.6))
                self.hurt_one()
        finally:
            self.end.set()
            feeder.join()
        harness.wait_until("every alert to be notified", self.all_told)
        # Whoever would tell twice has had the time: a lease and an interval.
        time.sleep(2.5)

    def all_told(self):
        self.resend()
        return set(self.sent) <= set(self.told())

    def told(self):
        return collections.Counter(m["groupLabels"]["alertname"] for m in self.cluster.listener.messages("/hook"))

    def report(self):
        """Figures. `again`: requests that an instance repeated because it cannot know whether the one that was stopped in the middle of
        it came through; they carry the same Idempotency-Key. `twice`: repeated for no such reason."""
        told = self.told()
        keys = collections.defaultdict(set)
        with self.cluster.listener.lock:
            for request in self.cluster.listener.requests:
                keys[json.loads(request["body"])["groupLabels"]["alertname"]].add(request["headers"]["idempotency-key"])
        return {"alerts": len(self.sent), "told": len(told), "lost": sorted(set(self.sent) - set(told)),
                "twice": sorted(name for name, found in keys.items() if len(found) > 1),
                "again": sorted(name for name, count in told.items() if count > 1),
                "kills": self.kills, "pauses": self.pauses}
