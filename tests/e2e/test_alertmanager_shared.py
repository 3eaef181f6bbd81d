# SPDX-License-Identifier: Apache-2.0
"""Instances that share a PostgreSQL: none of them tells what another has told, and what one cannot tell another does."""
import signal
import time

import pytest

import alertmanager_cluster
import alertmanager_sink
import alertmanagers
import harness
from test_alertmanager_timelines import listener  # noqa: F401  (a fixture)


@pytest.fixture(scope="module")
def postgres():
    one = alertmanager_cluster.Postgres()
    yield one
    one.close()


@pytest.fixture
def database(postgres):
    """The URL of tables of its own."""
    name = f"s{time.monotonic_ns()}"
    assert postgres.sql(f"create schema {name}") is not None
    return f"{postgres.url}&options=-csearch_path%3D{name}"


def test_killed_and_paused_instances_lose_nothing_and_tell_nothing_twice(world, database):
    sink = alertmanager_sink.Sink()
    cluster = alertmanager_cluster.Cluster(world, database, sink, mail_port=sink.mail_port)
    storm = alertmanager_cluster.Storm(cluster, seed=7, alerts_per_s=5, pause_s=2.4)

    storm.run(8)

    report = storm.report()
    sink.close()
    for way in ("webhook", "mail"):
        assert report[way]["lost"] == []
        # An instance that is killed between its request and its log leaves what nobody can know: that is told again, under the same key.
        assert report[way]["twice"] == []
        assert [c for c in report[way]["causes"] if c["what"] != "killed"] == []
    assert report["alerts"] > 20 and report["kills"] + report["pauses"] > 3


def stopped_in_the_middle(world, database, lease, stop):
    """Two instances; the one that tells is stopped before it has the answer. Returns it, the other one, and the requests."""
    slow = alertmanagers.Listener(delay_s=4)
    cluster = alertmanager_cluster.Cluster(world, database, slow, count=2, lease=lease)
    cluster.send([alertmanagers.alert({"alertname": "A"})])
    harness.wait_until("the request", lambda: slow.requests)
    urls = [alertmanager_cluster.url_of(i) for i in range(2)]
    which = urls.index(slow.messages()[0]["externalURL"])
    teller, other = cluster.members[which], cluster.members[1 - which]
    stop(teller)
    return teller, other, slow


def test_what_a_paused_instance_may_have_told_is_not_told_again_when_it_goes_on(world, database):
    teller, other, slow = stopped_in_the_middle(world, database, "4s", lambda m: m.signal(signal.SIGSTOP))
    harness.wait_until("its lease to run out", lambda: alertmanager_cluster.metric(other, "alertmanager_cluster_members") == 1)
    time.sleep(1)  # now the other one would tell
    teller.signal(signal.SIGCONT)

    harness.wait_until("both to know", lambda: all(
        alertmanager_cluster.metric(m, "narthex_alertmanager_nflog_entries") == 1 for m in (teller, other)))
    other.send("alerts", [alertmanagers.alert({"alertname": "A"})])
    time.sleep(1.5)
    slow.close()
    assert len(slow.requests) == 1


def test_what_a_paused_instance_may_have_told_is_told_when_it_does_not_go_on(world, database):
    teller, _, slow = stopped_in_the_middle(world, database, "1s", lambda m: m.signal(signal.SIGSTOP))
    harness.wait_until("the other one", lambda: len(slow.requests) == 2)
    teller.kill()
    slow.close()
    first, again = [r["headers"]["idempotency-key"] for r in slow.requests]
    assert first == again


def test_nobody_waits_for_an_instance_that_is_dead_for_longer_than_its_lease(world, database):
    _, _, slow = stopped_in_the_middle(world, database, "5s", lambda m: m.kill())
    harness.wait_until("the other one", lambda: len(slow.requests) == 2)
    slow.close()
    assert slow.requests[1]["at"] - slow.requests[0]["at"] < 4 * 5


def test_silences_and_members_are_known_to_all(world, database, listener):
    cluster = alertmanager_cluster.Cluster(world, database, listener, count=2)
    one, other = cluster.members
    silence = one.silence({"alertname": "quiet"})

    harness.wait_until("the silence to arrive", lambda: silence in [s["id"] for s in other.v2("silences")])
    other.expire(silence)
    harness.wait_until("its end to arrive", lambda: one.v2("silence/" + silence)["status"]["state"] == "expired")

    def names():
        cluster = one.v2("status")["cluster"]
        return cluster["status"] == "ready" and [p["name"] for p in cluster["peers"]] == ["m0", "m1"]
    harness.wait_until("both to be members", names)
    harness.wait_until("the other one to know", lambda: alertmanager_cluster.metric(
        other, "alertmanager_cluster_members") == 2 and alertmanager_cluster.metric(other, "alertmanager_peer_position") == 1)


def test_without_the_database_each_works_alone_and_they_agree_again(world, postgres, database, listener):
    cluster = alertmanager_cluster.Cluster(world, database, listener, count=2, lease="2s")
    one, other = cluster.members
    cluster.send([alertmanagers.alert({"alertname": "before"})])
    harness.wait_until("a notification", lambda: len(listener.messages("/hook")) == 1)
    harness.wait_until("both to know of it", lambda: all(
        alertmanager_cluster.metric(m, "narthex_alertmanager_nflog_entries") == 1 for m in cluster.members))

    postgres.stop()
    try:
        harness.wait_until("both to notice", lambda: all(
            alertmanager_cluster.metric(m, "narthex_alertmanager_shared_up") == 0 for m in cluster.members))
        cluster.send([alertmanagers.alert({"alertname": "meanwhile"})])
        silence = one.silence({"alertname": "quiet"})
        # Both are alone: both tell.
        harness.wait_until("both to tell", lambda: [
            m["groupLabels"]["alertname"] for m in listener.messages("/hook")].count("meanwhile") == 2)
    finally:
        postgres.start()

    harness.wait_until("the silence to arrive", lambda: silence in [s["id"] for s in other.v2("silences")])
    harness.wait_until("both to be back", lambda: all(
        alertmanager_cluster.metric(m, "narthex_alertmanager_shared_up") == 1 for m in cluster.members))
    cluster.send([alertmanagers.alert({"alertname": "after"})])
    harness.wait_until("a notification", lambda: "after" in [
        m["groupLabels"]["alertname"] for m in listener.messages("/hook")])
    time.sleep(1.5)
    told = [m["groupLabels"]["alertname"] for m in listener.messages("/hook")]
    assert told.count("after") == 1 and told.count("before") == 1


def test_an_instance_that_starts_knows_what_was_told_before(world, database, listener):
    cluster = alertmanager_cluster.Cluster(world, database, listener, count=1)
    cluster.send([alertmanagers.alert({"alertname": "A"})])
    harness.wait_until("a notification", lambda: len(listener.messages("/hook")) == 1)

    late = alertmanager_cluster.Cluster(world, database, listener, count=2)
    late.send([alertmanagers.alert({"alertname": "A"}), alertmanagers.alert({"alertname": "B"})])
    harness.wait_until("B", lambda: "B" in [m["groupLabels"]["alertname"] for m in listener.messages("/hook")])
    time.sleep(1.5)

    assert sorted(m["groupLabels"]["alertname"] for m in listener.messages("/hook")) == ["A", "B"]


def test_what_is_told_again_after_a_crash_is_recognised(world):
    slow = alertmanagers.Listener(delay_s=5)
    mails = alertmanagers.MailSink()
    server = alertmanagers.start(world, alertmanager_cluster.CONFIG % (slow.url, "true") + alertmanager_cluster.MAIL % mails.port)
    alerts = [alertmanagers.alert({"alertname": "A", "i": str(i)}) for i in range(3)]

    server.send("alerts", alerts)
    harness.wait_until("the request and the mail", lambda: slow.requests and mails.mails)
    server.kill()  # the answer has not come: it cannot know
    server.start()
    server.send("alerts", alerts)
    harness.wait_until("the request again", lambda: len(slow.requests) == 2)
    server.send("alerts", alerts + [alertmanagers.alert({"alertname": "A", "i": "new"})])
    harness.wait_until("another one", lambda: len(slow.requests) == 3)
    slow.close()
    mails.close()

    first, again, other = [r["headers"]["idempotency-key"] for r in slow.requests]
    assert first == again != other
    assert len(first) == 34 and first[0] == first[-1] == '"'


def test_a_url_that_cannot_be_right_is_refused(world):
    binary = str(world.binary)
    import subprocess
    path = world.write_file("x.yml", "route: {receiver: a}\nreceivers: [{name: a}]\n")
    for url, why in [("mysql://x", "postgres://"), ("postgres://[::1/x", "URL of the database")]:
        run = subprocess.run([binary, "alertmanager", f"--config.file={path}", f"--storage.path={world.directory / 'd'}",
                              f"--storage.database={url}", "--web.listen-address=127.0.0.1:0"],
                             capture_output=True, text=True, check=False, timeout=60)
        assert run.returncode == 1 and why in run.stderr, run.stderr


def test_a_silence_that_ends_soon_and_still_mutes_something_is_reminded_of(world, listener):
    server = alertmanagers.start(world, alertmanager_cluster.CONFIG % (listener.url, "true"), "--silences.expiry-reminder=20s")
    wanted = server.silence({"alertname": "muted"}, seconds=15, comment="upgrade")
    server.silence({"alertname": "nobody"}, seconds=15)
    server.silence({"job": "j"}, seconds=3600)
    server.send("alerts", [alertmanagers.alert({"alertname": "muted", "job": "j"})])

    harness.wait_until("a reminder", lambda: listener.messages("/hook"))

    told = listener.messages("/hook")
    assert {m["commonLabels"]["alertname"] for m in told} == {"SilenceExpiring"}
    one = told[0]["alerts"]
    assert [a["labels"]["silence_id"] for a in one] == [wanted]
    assert one[0]["annotations"]["comment"] == "upgrade" and "mutes 1 alert" in one[0]["annotations"]["summary"]
    assert one[0]["generatorURL"].endswith("/#/silences/" + wanted)
