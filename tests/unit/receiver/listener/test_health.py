"""A listener is judged by what becomes of its instances, by a store of its own, and by its volume."""

import threading

import pytest

from lapidicom.receiver.errors import OutOfResources
from lapidicom.receiver.listener import health
from lapidicom.receiver.listener.health import (
    HANG,
    MOST_REFUSALS,
    SHARED_SECONDS,
    TRY_SECONDS,
    StoreHangs,
    StoreHealth,
    VolumeWatch,
)
from lapidicom.receiver.storage.refusals import Refusals
from tests.support.polling import eventually

NO_ACCESS = "volume not writable (EACCES)"
NO_SPACE = "volume not writable (ENOSPC)"


class Listener:
    """A listener whose stores end as the test says, at a time that the test says."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.stored = 0
        self.tries = 0
        self.try_fails: OutOfResources | None = None
        self.refusals = Refusals()
        self.health = StoreHealth(self.refusals, lambda: self.stored, self._try, lambda: self.now)

    def _try(self) -> None:
        self.tries += 1
        if self.try_fails is not None:
            raise self.try_fails

    def refuse(self, number: int = 1, *, is_shared: bool = False) -> None:
        for _ in range(number):
            self.refusals.add(OutOfResources(NO_SPACE if is_shared else NO_ACCESS, is_shared=is_shared))

    def look(self, after: float = 1.0, *, is_explained: bool = False) -> tuple[str | None, str | None]:
        self.now += after
        self.health.look(is_explained=is_explained)
        return self.health.fault, self.health.degraded


@pytest.fixture
def listener() -> Listener:
    return Listener()


def test_a_listener_that_stores_is_well_and_tries_nothing(listener: Listener) -> None:
    for _ in range(100):
        listener.stored += 1
        assert listener.look() == (None, None)
    assert listener.tries == 0


def test_refusals_in_a_row_make_it_unfit_with_their_number_and_reason(listener: Listener) -> None:
    listener.refuse(MOST_REFUSALS - 1)
    assert listener.look() == (None, None)
    listener.refuse()
    assert listener.look() == (f"{MOST_REFUSALS} instances refused in a row: {NO_ACCESS}", None)


def test_a_success_in_between_begins_the_count_anew(listener: Listener) -> None:
    for _ in range(10):
        listener.refuse(MOST_REFUSALS - 1)
        assert listener.look() == (None, None)
        listener.stored += 1
        assert listener.look() == (None, None)
    assert listener.tries == 0


def test_an_unfit_listener_tries_a_store_each_ten_seconds_until_one_succeeds(listener: Listener) -> None:
    listener.try_fails = OutOfResources("volume: SERVICES/PACS takes no files (Permission denied)")
    listener.refuse(6000)
    for second in range(1, 36):
        fault, degraded = listener.look()
        assert fault is not None
        assert degraded is None
        assert listener.tries == (second - 1) // TRY_SECONDS
    assert fault == "a store of its own failed: volume: SERVICES/PACS takes no files (Permission denied)"
    listener.try_fails = None
    assert listener.look(5)[0] is not None, "it is not time yet"
    assert listener.look(1) == (None, None)
    assert listener.look(100) == (None, None)
    assert listener.tries == 4, "without a doubt it tries nothing"


def test_a_success_makes_it_fit_at_once(listener: Listener) -> None:
    listener.refuse(MOST_REFUSALS)
    assert listener.look()[0] is not None
    listener.stored += 1
    assert listener.look() == (None, None)
    assert listener.look(100) == (None, None)
    assert listener.tries == 0


def test_a_single_refusal_is_a_doubt_that_a_store_of_its_own_settles(listener: Listener) -> None:
    listener.refuse()
    assert listener.look() == (None, None)
    assert listener.look(TRY_SECONDS) == (None, None)
    assert listener.tries == 1
    listener.try_fails = OutOfResources("volume: away")
    listener.refuse()
    listener.look()
    assert listener.look(TRY_SECONDS) == ("a store of its own failed: volume: away", None)


def test_a_fault_that_is_known_is_followed_by_a_store_as_soon_as_it_is_over(listener: Listener) -> None:
    listener.refuse(MOST_REFUSALS)
    assert listener.look(is_explained=True)[0] is not None
    assert listener.look(100, is_explained=True)[0] is not None
    assert listener.tries == 0, "whoever knows the fault looks for its end"
    assert listener.look() == (None, None)
    assert listener.tries == 1


def test_refusals_of_a_full_volume_that_is_known_leave_nothing_behind_when_there_is_space_again(
    listener: Listener,
) -> None:
    listener.refuse(is_shared=True)
    assert listener.look(is_explained=True) == (None, None), "whoever knows it tells it"
    listener.refuse(is_shared=True)
    assert listener.look() == (None, None), "these came before there was space"
    listener.refuse(is_shared=True)
    assert listener.look() == (None, NO_SPACE)


def test_a_full_volume_degrades_and_leaves_it_fit(listener: Listener) -> None:
    listener.refuse(6000, is_shared=True)
    assert listener.look() == (None, NO_SPACE)
    assert listener.look(SHARED_SECONDS - 1) == (None, NO_SPACE)
    assert listener.look(1) == (None, None)
    assert listener.tries == 0
    listener.refuse(is_shared=True)
    assert listener.look() == (None, NO_SPACE)
    listener.stored += 1
    assert listener.look() == (None, None)


def test_a_store_of_its_own_that_finds_the_volume_full_leaves_it_fit(listener: Listener) -> None:
    listener.try_fails = OutOfResources(NO_SPACE, is_shared=True)
    listener.refuse(MOST_REFUSALS)
    assert listener.look()[0] is not None
    assert listener.look(TRY_SECONDS) == (None, NO_SPACE)


@pytest.fixture
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(health, "STALLED_AFTER", 0.2)


@pytest.mark.usefixtures("_short_times")
def test_a_volume_that_answers_is_no_fault() -> None:
    looked = threading.Event()
    watch = VolumeWatch(lambda: not looked.set())
    assert looked.wait(10)
    assert watch.fault() is None
    assert not watch.must_restart
    watch.close()


@pytest.mark.usefixtures("_short_times")
def test_a_volume_that_does_not_answer_is_a_fault() -> None:
    answer = threading.Event()
    watch = VolumeWatch(lambda: answer.wait(20))
    assert eventually(watch.fault).startswith("volume has not answered")
    answer.set()
    eventually(lambda: watch.fault() is None)
    watch.close()


@pytest.mark.usefixtures("_short_times")
def test_a_volume_that_only_a_fresh_process_can_use_asks_for_one() -> None:
    watch = VolumeWatch(lambda: False)
    eventually(lambda: watch.must_restart)
    watch.close()


def test_a_volume_is_not_blamed_for_time_in_which_the_listener_itself_was_stopped() -> None:
    now = 1000.0
    watch = VolumeWatch(lambda: True, lambda: now)
    watch.close()  # it answers no more
    faults = []
    for step in (1, 1, 3600, 1, 1):
        now += step
        faults.append(watch.fault())
    assert faults[:-1] == [None] * 4
    assert str(faults[-1]).startswith("volume has not answered for")


@pytest.mark.usefixtures("_short_times")
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


class Looks:
    """Looks at the threads of associations, each second, by a clock of its own."""

    def __init__(self, timeout: float = 60) -> None:
        self.now = 1000.0
        self.hangs = StoreHangs(timeout, lambda: self.now)

    def look(self, works: dict[int, int], seconds: int = 1) -> list[int]:
        """The connections that were given up within so many seconds."""
        given_up = []
        for _ in range(seconds):
            self.now += 1
            given_up += self.hangs.look(works)
        return given_up


def test_a_thread_that_the_volume_holds_up_is_given_up_once_and_refuses_others_until_it_is_back() -> None:
    looks = Looks()
    hangs = looks.hangs
    assert looks.look({1: 7, 2: 4}) == []
    assert looks.look({1: 7, 2: 4}, 13) == []
    assert looks.look({1: 7, 2: 5}) == []
    assert (hangs.fault, hangs.reason) == (None, None)
    assert looks.look({1: 7, 2: 5}) == []
    assert hangs.fault is None
    assert hangs.reason == "volume has not answered for 15 s, and holds up 1 associations"
    assert looks.look({1: 7, 2: 5}, 44) == []
    assert looks.look({1: 7, 2: 5}) == [1]
    assert hangs.fault == HANG
    assert looks.look({1: 7, 2: 5}, 14) == [2]
    assert hangs.reason == "volume has not answered for 74 s, and holds up 2 associations"
    assert looks.look({1: 8, 2: 5}) == []
    assert hangs.fault == HANG
    assert looks.look({1: 8}) == []
    assert (hangs.fault, hangs.reason) == (None, None)


def test_a_thread_that_goes_on_from_call_to_call_is_not_held_up() -> None:
    looks = Looks()
    for work in range(1, 1001, 2):
        assert looks.look({1: work}, 14) == []
    assert looks.hangs.reason is None


def test_time_in_which_the_listener_itself_was_stopped_holds_up_no_thread() -> None:
    looks = Looks()
    assert looks.look({1: 7}, 10) == []
    looks.now += 3600
    assert looks.look({1: 7}) == []
    assert looks.hangs.reason is None
    assert looks.look({1: 7}, 48) == []
    assert looks.look({1: 7}, 5) == [1]
