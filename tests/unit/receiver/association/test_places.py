"""Places: bounded, first come first served, refused when the listener drains."""

import threading
from collections.abc import Callable

import pytest

from lapidicom.receiver.association import places as places_of_a_listener
from lapidicom.receiver.association.places import Places
from tests.support.polling import eventually


def in_thread(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call)
    thread.start()
    return thread


def take_in_thread(places: Places) -> None:
    """Let a thread of its own take a place and end without giving it back."""
    in_thread(lambda: places.acquire(0)).join()


def test_a_place_is_taken_and_given_back() -> None:
    places = Places(1)
    assert places.acquire(0)
    assert places.in_use == 1
    places.release()
    assert places.in_use == 0


def test_without_a_free_place_acquire_ends_after_its_time() -> None:
    places = Places(1)
    take_in_thread(places)
    assert not places.acquire(0)
    assert not places.acquire(0.01)
    assert places.in_use == 1


def test_who_waits_longest_is_served_first() -> None:
    places, order = Places(1), []
    assert places.acquire(0)

    def wait(name: str) -> None:
        if places.acquire(20):
            order.append(name)
            places.release()

    threads = []
    for number in range(5):
        threads.append(in_thread(lambda name=str(number): wait(name)))
        eventually(lambda number=number: len(places._waiters) == number + 1)
    places.release()
    for thread in threads:
        thread.join()
    assert order == ["0", "1", "2", "3", "4"]
    assert places.in_use == 0


def test_a_newcomer_does_not_overtake_those_who_wait() -> None:
    places, got = Places(1), []
    assert places.acquire(0)
    waiting = in_thread(lambda: got.append(places.acquire(20)))
    eventually(lambda: len(places._waiters) == 1)
    places.release()
    assert not places.acquire(0)
    waiting.join()
    assert got == [True]


def test_a_waiter_that_gave_up_is_passed_over() -> None:
    places = Places(1)
    assert places.acquire(0)
    in_thread(lambda: places.acquire(0.01)).join()
    places.release()
    assert places.acquire(0)


def test_a_place_can_be_given_back_for_a_thread_that_hangs_and_once_only() -> None:
    places = Places(1)
    assert places.acquire(0)
    places.release(threading.get_ident())
    assert places.in_use == 0
    places.release()
    assert places.in_use == 0


def test_one_more_than_may_wait_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places_of_a_listener, "MOST_WAITING", 0)
    places = Places(1)
    assert places.acquire(0)
    waiting = in_thread(lambda: places.acquire(20))
    eventually(lambda: len(places._waiters) == 1)
    assert not places.acquire(600)
    places.close()
    waiting.join()


def test_closing_refuses_those_who_wait_and_all_later_ones_but_not_those_who_have_a_place() -> None:
    places, got = Places(1), []
    assert places.acquire(0)
    waiting = in_thread(lambda: got.append(places.acquire(20)))
    eventually(lambda: len(places._waiters) == 1)
    places.close()
    waiting.join()
    assert got == [False]
    places.release()
    assert not places.acquire(0)


def test_many_threads_never_hold_more_than_there_are() -> None:
    places, most = Places(3), []

    def work() -> None:
        for _ in range(50):
            assert places.acquire(20)
            most.append(places.in_use)
            places.release()

    threads = [in_thread(work) for _ in range(8)]
    for thread in threads:
        thread.join()
    assert len(most) == 400
    assert max(most) <= 3
    assert places.in_use == 0
