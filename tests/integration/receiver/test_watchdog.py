"""Children that hang: killed and replaced after CHRIS_CHILD_TIMEOUT; healthy ones are left alone.

And a listener that has no free descriptor.
"""

import os
import resource
import signal
from contextlib import ExitStack
from pathlib import Path

from lapidicom.common.journal.format import HEARTBEAT
from tests.support.journals import journal_folders
from tests.support.polling import eventually, never
from tests.support.processes import connections, descriptors, is_closed
from tests.support.receiver import StartReceiver


def test_a_hung_listener_is_replaced_its_journal_finished_and_readiness_says_so(
    start: StartReceiver,
) -> None:
    receiver = start(CHRIS_CHILD_TIMEOUT=7, CHRIS_JOURNAL_TAKEOVER=600)
    [journal] = journal_folders(receiver.spool)
    hung = receiver.child()
    os.kill(hung, signal.SIGSTOP)
    assert receiver.wait_for("not_ready")["reasons"][0].startswith("listener 0: silent for")
    assert receiver.wait_for("child_hung", role="listener", index=0)["child"] == hung
    assert receiver.wait_for("child_ended", child=hung)["signal"] == "SIGKILL"
    assert receiver.wait_for("journal_taken_over", life=journal.name)["end_seen"] is True
    receiver.wait_for_other_child(hung)
    receiver.wait_for("ready", count=2)
    assert receiver.reasons() == []
    assert receiver.stop() == 0


def test_a_hung_relay_is_replaced(start: StartReceiver) -> None:
    receiver = start(CHRIS_CHILD_TIMEOUT=7)
    receiver.wait_for("broker_publisher_connected")  # until its first report it may take two minutes
    hung = receiver.child("relay")
    os.kill(hung, signal.SIGSTOP)
    assert receiver.wait_for("degraded")["reasons"][0].startswith("relay: silent for")
    assert receiver.reasons() == []
    assert receiver.wait_for("child_hung", role="relay")["child"] == hung
    receiver.wait_for_other_child(hung, "relay")
    receiver.wait_for("degraded_no_longer")
    assert receiver.stop() == 0


def test_a_receiver_that_slept_kills_no_child_and_takes_over_no_journal_that_is_written_to(
    start: StartReceiver,
) -> None:
    receiver = start(CHRIS_CHILD_TIMEOUT=5, CHRIS_JOURNAL_TAKEOVER=5, CHRIS_JOURNAL_HEARTBEAT=1.2)
    children = receiver.children()
    [journal] = journal_folders(receiver.spool)

    def beat() -> bytes:
        return (journal / HEARTBEAT).read_bytes()

    def harm() -> bool:
        taken_over = [event["life"] for event in receiver.events("journal_taken_over")]
        # The listener has begun a new life: its former one is to be finished, by whoever comes first.
        return bool(receiver.events("child_hung") or set(taken_over) - {journal.name})

    before = beat()
    eventually(lambda: beat() != before, every=0.01)
    latest = beat()
    never(lambda: beat() != latest, 1)  # the relay has looked since
    receiver.pause()
    never(harm, 6)
    os.kill(receiver.pid, signal.SIGCONT)
    eventually(lambda: receiver.get("/livez")[0] == 200)
    os.kill(receiver.child("relay"), signal.SIGCONT)
    never(harm, 1)
    for pid in children:
        os.kill(pid, signal.SIGCONT)
    never(harm, 3)
    assert receiver.children() == children
    assert receiver.reasons() == []


def test_a_connection_for_which_no_descriptor_is_free_is_counted_and_the_next_is_served(
    start: StartReceiver,
) -> None:
    receiver = start()
    listener = receiver.child()
    _, hard = resource.prlimit(listener, resource.RLIMIT_NOFILE)
    used = max(int(one.name) for one in Path(f"/proc/{listener}/fd").iterdir()) + 1
    free_below = used - descriptors(listener)
    with ExitStack() as opened:
        resource.prlimit(listener, resource.RLIMIT_NOFILE, (used, hard))
        for _ in range(free_below):
            opened.enter_context(receiver.connect())
        eventually(lambda: descriptors(listener) == used)
        with receiver.connect() as lost:
            eventually(lambda: is_closed(lost))
        line = receiver.wait_for("connections_lost")
        assert (line["count"], line["reason"]) == (1, "no free file descriptor")
        before = cpu_seconds(listener)
        never(lambda: cpu_seconds(listener) - before > 0.5, 1, what="it spins")
        resource.prlimit(listener, resource.RLIMIT_NOFILE, (hard, hard))
        arrived = connections(listener)
        opened.enter_context(receiver.connect())
        eventually(lambda: connections(listener) == arrived + 1)
    assert receiver.stop() == 0
    assert receiver.wait_for("stopped")["connections_lost"] == 1


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
