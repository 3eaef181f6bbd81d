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
MAIL = """\
  email_configs: [{to: 'a@example.org', from: 'b@example.org', smarthost: '127.0.0.1:%d', require_tls: false,
    text: '{{ len .Alerts }}', html: '', headers: {Subject: '{{ .GroupLabels.alertname }}', X-Instance: '{{ .ExternalURL }}'}}]
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
    """Instances of one name each; restart() keeps data and port. With a port for mails they are told both ways."""

    def __init__(self, world, url, listener, count=3, lease="2s", send_resolved=False, poll="200ms", mail_port=None):
        self.world, self.listener, self.lease_s, self.members = world, listener, float(lease[:-1]), []
        config = CONFIG % (listener.url, "true" if send_resolved else "false") + (MAIL % mail_port if mail_port else "")
        for i in range(count):
            self.members.append(alertmanagers.start(
                world, config, f"--storage.database={url}",
                f"--storage.database-lease={lease}", f"--storage.database-poll={poll}", f"--cluster.peer-name=m{i}",
                f"--cluster.advertise-address=127.0.0.1:{9094 + i}", name=f"m{i}", external_url=url_of(i)))

    def send(self, documents):
        """To all that take them, as a Prometheus does."""
        body = json.dumps(documents).encode()
        for member in self.members:
            try:
                harness.http_call(member.url + "/api/v2/alerts", data=body, method="POST",
                                  headers={"Content-Type": "application/json"}, timeout_s=0.5)
            except OSError:
                pass  # killed, paused: it gets them the next time


def url_of(i):
    """How the i-th instance calls itself."""
    return f"http://m{i}.example"


def metric(server, name):
    """The sum of a metric's series."""
    total = 0.0
    for line in server.get("/metrics").text.splitlines():
        if line.split("{")[0].split(" ")[0] == name:
            total += float(line.rsplit(" ", 1)[1])
    return total


class Storm:
    """Alerts come, each once; all that stand are sent again and again. Meanwhile one instance after the other is killed or paused. The
    cluster's listener is an alertmanager_sink.Sink."""

    def __init__(self, cluster, seed, alerts_per_s, pause_s):
        self.cluster, self.random = cluster, random.Random(seed)
        self.rate, self.pause_s = alerts_per_s, pause_s
        self.standing = int(alerts_per_s * 60)  # how many are sent again; older ones have been told long ago
        self.sent = []
        self.hurts = []  # (which instance, "killed" or "paused", from, until)
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
        which = self.random.randrange(len(self.cluster.members))
        member, begun = self.cluster.members[which], time.monotonic()
        if self.random.random() < 0.5:
            member.kill()
            time.sleep(self.random.uniform(0, 0.5))
            member.start()
            self.hurts.append((which, "killed", begun, time.monotonic()))
        else:
            member.signal(signal.SIGSTOP)
            time.sleep(self.pause_s * self.random.uniform(0.3, 1.5))
            member.signal(signal.SIGCONT)
            self.hurts.append((which, "paused", begun, time.monotonic()))

    def run(self, seconds):
        feeder = threading.Thread(target=self.feed)
        feeder.start()
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until or len(self.hurts) < 4:  # on a busy machine each takes longer
                time.sleep(self.random.uniform(0.1, 0.6))
                self.hurt_one()
        finally:
            self.end.set()
            feeder.join()
        harness.wait_until("every alert to be notified", self.all_told)
        # Whoever would tell twice has had the time: a lease, what a claim in doubt lasts longer, and an interval.
        time.sleep(4 * self.cluster.lease_s + 1.5)

    def all_told(self):
        self.resend()
        return all(set(self.sent) <= set(told) for told in self.told().values())

    def told(self):
        """For each way of telling what came for each alert, one for each request or mail."""
        ways = {"webhook": collections.defaultdict(list), "mail": collections.defaultdict(list)}
        with self.cluster.listener.lock:
            for one in self.cluster.listener.told:
                ways[one["way"]][one["name"]].append(one)
        return ways

    def cause(self, one):
        """What happened to the instance that sent it, how long after it came, in milliseconds."""
        after = [(begun - one["at"], what, until - begun) for i, what, begun, until in self.hurts if url_of(i) == one["who"]]
        # The clock of the test and that of the one who is told are the same.
        gap, what, took = min((a for a in after if a[0] > -0.5), default=(None, None, None))
        return {"what": what, "after_ms": gap and round(gap * 1000, 1), "for_s": took and round(took, 1)}

    def report(self):
        """Figures. `again`: what an instance repeated because it cannot know whether the one that was stopped in the middle of it came
        through: it has the same Idempotency-Key or Message-Id, so that the receiver recognises it. `twice`: what it cannot recognise."""
        count = collections.Counter(what for _, what, _, _ in self.hurts)
        report = {"alerts": len(self.sent), "kills": count["killed"], "pauses": count["paused"]}
        for way, told in self.told().items():
            keys = {name: [one["key"] for one in all_of] for name, all_of in told.items()}
            again = [name for name in keys if len(keys[name]) > len(set(keys[name]))]
            report[way] = {"told": len(told), "lost": sorted(set(self.sent) - set(told)),
                           "twice": sorted(name for name in keys if len(set(keys[name])) > 1), "again": len(again),
                           "causes": [self.cause(told[name][0]) | {"until_again_s": round(told[name][1]["at"] - told[name][0]["at"], 2)}
                                      for name in again]}
        return report
