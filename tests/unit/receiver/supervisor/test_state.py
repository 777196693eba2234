"""Who takes the next connection, when the receiver is ready, sums over children, what the relay is sent."""

import pytest

from lapidicom.receiver.control import OwnerEnded, Report
from lapidicom.receiver.supervisor.state import (
    SILENCE,
    STARTING,
    EndedListeners,
    ListenerState,
    Totals,
    degradations,
    reasons_not_ready,
    takers,
)


def listener(
    index: int = 0,
    *,
    connections: int = 0,
    taken: int | None = None,
    handed: int | None = None,
    age: float = 0.1,
    alive: bool = True,
    fault: str | None = None,
    degraded: str | None = None,
    unusable: str | None = None,
    reported: bool = True,
) -> ListenerState:
    taken = connections if taken is None else taken
    report = Report(connections=connections, taken=taken, fault=fault, degraded=degraded)
    handed = taken if handed is None else handed
    return ListenerState(index, alive, handed, report if reported else None, age, unusable)


RELAY = listener()


def test_the_live_listener_with_the_fewest_open_connections_is_first() -> None:
    assert takers([listener(0, connections=3), listener(1, connections=1), listener(2, connections=2)]) == [
        1,
        2,
        0,
    ]


def test_connections_handed_over_since_the_report_count_as_open() -> None:
    assert listener(connections=1, taken=5, handed=7).open == 3
    assert takers([listener(0, connections=1, taken=1, handed=4), listener(1, connections=2, taken=2)]) == [
        1,
        0,
    ]


def test_among_equals_the_one_that_was_given_fewest_is_first() -> None:
    assert takers([listener(0, taken=9), listener(1, taken=4), listener(2, taken=4)]) == [1, 2, 0]


@pytest.mark.parametrize(
    "unfit",
    [listener(age=SILENCE), listener(alive=False), listener(reported=False), listener(reported=False, age=9)],
    ids=["silent", "ended", "starting", "hanging at its start"],
)
def test_a_listener_that_is_not_live_gets_no_connection(unfit: ListenerState) -> None:
    assert takers([unfit, listener(1, connections=50)]) == [1]
    assert takers([unfit]) == []


def test_a_listener_that_would_refuse_every_instance_comes_last() -> None:
    assert takers([listener(0, fault="no space"), listener(1, connections=7)]) == [1, 0]
    assert takers([listener(0, fault="no space")]) == [0]


@pytest.mark.parametrize(
    ("state", "starting"),
    [
        (listener(reported=False, age=1), True),
        (listener(reported=False, age=STARTING), False),
        (listener(reported=False, alive=False), False),
        (listener(), False),
    ],
)
def test_only_a_young_listener_without_report_is_starting(state: ListenerState, *, starting: bool) -> None:
    assert state.is_starting == starting


def test_one_listener_that_takes_writes_is_enough_to_be_ready() -> None:
    assert reasons_not_ready([listener(0, fault="away"), listener(1)], stopping=False) == []


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (listener(reported=False), "has not reported yet"),
        (listener(age=7.4), "silent for 7 s"),
        (listener(alive=False), "has ended"),
        (listener(reported=False, unusable="no hard links"), "no hard links"),
        (listener(unusable="no hard links", fault="away"), "away"),
        (listener(fault="volume is not the one of the start"), "volume is not the one of the start"),
    ],
)
def test_each_unfit_listener_gives_its_reason(state: ListenerState, reason: str) -> None:
    assert reasons_not_ready([state], stopping=False) == [f"listener 0: {reason}"]


def test_a_receiver_that_shuts_down_is_not_ready() -> None:
    assert reasons_not_ready([listener()], stopping=True) == ["shutting down"]


def test_what_every_receiver_on_the_volume_meets_degrades_and_leaves_ready() -> None:
    full = [listener(0, degraded="no space"), listener(1)]
    assert reasons_not_ready(full, stopping=False) == []
    assert degradations(full, RELAY) == ["listener 0: no space"]
    assert takers(full) == [0, 1], "no other one would do better"


def test_an_unfit_listener_beside_a_fit_one_shows_as_degraded() -> None:
    states = [listener(0, fault="20 instances refused in a row"), listener(1), listener(2, reported=False)]
    assert degradations(states, RELAY) == ["listener 0: 20 instances refused in a row"], "a new one has time"
    assert degradations([states[0]], RELAY) == [], "that is why the receiver is not ready"
    assert degradations([listener(0, reported=False, unusable="no hard links"), listener(1)], RELAY) == [
        "listener 0: no hard links"
    ]
    assert degradations([listener(0, degraded="no space", alive=False), listener(1)], RELAY) == [
        "listener 0: has ended"
    ]


def test_a_silent_relay_shows_as_degraded_and_a_replaced_one_does_not() -> None:
    assert degradations([listener()], listener(age=SILENCE)) == ["relay: silent for 5 s"]
    assert degradations([listener()], listener(reported=False, age=1)) == []
    assert degradations([listener()], listener(alive=False)) == []


def test_what_an_ended_child_counted_stays_in_the_sum() -> None:
    totals = Totals()
    totals.keep({"instances_stored": 5, "instances_refused_A700": 1})
    totals.keep({"instances_stored": 2})
    assert totals.sum([{"instances_stored": 10, "associations": 1}, {"instances_stored": 1}]) == {
        "instances_stored": 18,
        "instances_refused_A700": 1,
        "associations": 1,
    }


def test_asking_for_the_sum_does_not_change_it() -> None:
    totals = Totals()
    assert totals.sum([{"a": 1}]) == totals.sum([{"a": 1}]) == {"a": 1}


class RelaySocket:
    """Takes packets while it has room."""

    def __init__(self, room: int = 10_000) -> None:
        self.room = room
        self.sent: list[str] = []

    def send(self, packet: OwnerEnded) -> bool:
        if self.room == 0:
            return False
        self.room -= 1
        self.sent.append(packet.journal)
        return True


def test_each_journal_is_sent_once() -> None:
    ended, relay = EndedListeners(), RelaySocket()
    ended.add("a")
    assert ended.send(relay.send)
    ended.add("a")
    ended.add("b")
    assert ended.send(relay.send)
    assert relay.sent == ["a", "b"]


def test_what_a_busy_relay_did_not_take_is_sent_later() -> None:
    ended, relay = EndedListeners(), RelaySocket(room=1)
    ended.add("a")
    ended.add("b")
    assert not ended.send(relay.send)
    relay.room = 5
    assert ended.send(relay.send)
    assert relay.sent == ["a", "b"]


def test_a_new_relay_is_sent_all_journals_again() -> None:
    ended = EndedListeners()
    ended.add("a")
    ended.add("b")
    ended.send(RelaySocket().send)
    later = RelaySocket()
    ended.start_anew()
    assert ended.send(later.send)
    assert later.sent == ["a", "b"]


def test_memory_stays_flat_and_nothing_is_sent_twice() -> None:
    ended, relay = EndedListeners(), RelaySocket()
    for number in range(1500):
        ended.add(str(number))
        if number == 1200:
            ended.send(relay.send)
    ended.send(relay.send)
    assert relay.sent[-299:] == [str(number) for number in range(1201, 1500)]
    assert len(relay.sent) == len(set(relay.sent))
