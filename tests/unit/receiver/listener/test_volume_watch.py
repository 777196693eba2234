"""The volume is looked at beside everything else, and a hanging one is told."""

import threading

import pytest

from lapidicom.receiver.listener import volume_watch
from lapidicom.receiver.listener.volume_watch import VolumeWatch
from tests.support.polling import eventually


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume_watch, "INTERVAL", 0.01)
    monkeypatch.setattr(volume_watch, "STALLED_AFTER", 0.2)


def test_what_the_volume_says_is_told() -> None:
    faults: list[str | None] = [None]
    watch = VolumeWatch(lambda: True, lambda: faults[0])
    assert watch.fault() is None
    faults[0] = "free space below CHRIS_MIN_FREE_SPACE"
    assert watch.fault() == "free space below CHRIS_MIN_FREE_SPACE"
    assert not watch.must_restart
    watch.close()


def test_a_volume_that_does_not_answer_is_a_fault() -> None:
    answer = threading.Event()
    watch = VolumeWatch(lambda: answer.wait(20), lambda: None)
    assert eventually(watch.fault).startswith("volume has not answered")
    answer.set()
    eventually(lambda: watch.fault() is None)
    watch.close()


def test_a_volume_that_only_a_fresh_process_can_use_is_told() -> None:
    watch = VolumeWatch(lambda: False, lambda: "volume is not the one of the start")
    eventually(lambda: watch.must_restart)
    watch.close()
