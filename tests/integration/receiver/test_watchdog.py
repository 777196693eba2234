"""Children that hang: killed and replaced after CHRIS_CHILD_TIMEOUT; healthy ones are left alone."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.polling import eventually, never
from tests.support.receiver import Receiver


@pytest.fixture
def start(tmp_path: Path, amqp_url: str) -> Iterator[Callable[..., Receiver]]:
    """Start receivers that are ended with the test, whatever happens."""
    with ExitStack() as running:

        def starter(**settings: object) -> Receiver:
            return running.enter_context(Receiver(tmp_path, amqp_url, **settings))  # type: ignore[arg-type]

        yield starter


def test_a_hung_listener_is_replaced_its_journal_finished_and_readiness_says_so(
    start: Callable[..., Receiver],
) -> None:
    receiver = start(CHRIS_CHILD_TIMEOUT=7, CHRIS_JOURNAL_TAKEOVER=600)
    [journal] = (receiver.spool / "journal").iterdir()
    hung = receiver.child()
    os.kill(hung, signal.SIGSTOP)
    assert receiver.wait_for("not_ready")["reasons"][0].startswith("listener 0: silent for")
    assert receiver.wait_for("child_hung", role="listener", index=0)["child"] == hung
    assert receiver.wait_for("child_ended", child=hung)["signal"] == "SIGKILL"
    assert receiver.wait_for("journal_taken_over", life=journal.name)["told"] is True
    receiver.wait_for_other_child(hung)
    receiver.wait_for("ready", count=2)
    assert receiver.reasons() == []
    assert receiver.stop() == 0


def test_a_hung_relay_is_replaced(start: Callable[..., Receiver]) -> None:
    receiver = start(CHRIS_CHILD_TIMEOUT=3)
    hung = receiver.child("relay")
    os.kill(hung, signal.SIGSTOP)
    assert receiver.wait_for("child_hung", role="relay")["child"] == hung
    receiver.wait_for_other_child(hung, "relay")
    assert receiver.stop() == 0


def test_a_receiver_that_slept_kills_no_healthy_child_when_it_wakes(start: Callable[..., Receiver]) -> None:
    receiver = start(CHRIS_CHILD_TIMEOUT=4)
    children = receiver.children()
    receiver.pause()
    never(lambda: bool(receiver.events("child_hung")), 6)
    os.kill(receiver.pid, signal.SIGCONT)
    eventually(lambda: receiver.get("/livez")[0] == 200)
    for pid in children:
        os.kill(pid, signal.SIGCONT)
    never(lambda: bool(receiver.events("child_hung")), 3)
    assert receiver.children() == children
    assert receiver.reasons() == []
