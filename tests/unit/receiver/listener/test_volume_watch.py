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


def test_a_volume_that_answers_is_no_fault() -> None:
    looked = threading.Event()
    watch = VolumeWatch(lambda: not looked.set())
    assert looked.wait(10)
    assert watch.fault() is None
    assert not watch.must_restart
    watch.close()


def test_a_volume_that_does_not_answer_is_a_fault() -> None:
    answer = threading.Event()
    watch = VolumeWatch(lambda: answer.wait(20))
    assert eventually(watch.fault).startswith("volume has not answered")
    answer.set()
    eventually(lambda: watch.fault() is None)
    watch.close()


def test_a_volume_that_only_a_fresh_process_can_use_is_told() -> None:
    watch = VolumeWatch(lambda: False)
    eventually(lambda: watch.must_restart)
    watch.close()


def test_a_fault_of_ours_does_not_end_the_watch() -> None:
    fails = [True]

    def look() -> bool:
        if fails[0]:
            raise KeyError
        return True

    watch = VolumeWatch(look)
    assert eventually(watch.fault).startswith("volume has not answered")
    fails[0] = False
    eventually(lambda: watch.fault() is None)
    watch.close()
