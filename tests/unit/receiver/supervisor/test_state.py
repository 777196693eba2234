"""Who takes the next connection, and when the receiver is ready."""

import pytest

from lapidicom.receiver.control import Report
from lapidicom.receiver.supervisor.state import SILENCE, STARTING, ListenerState, reasons_not_ready, takers


def listener(
    index: int = 0,
    *,
    connections: int = 0,
    taken: int | None = None,
    handed: int | None = None,
    age: float = 0.1,
    alive: bool = True,
    volume: str | None = None,
    journal: str | None = None,
    reported: bool = True,
) -> ListenerState:
    taken = connections if taken is None else taken
    report = (
        Report(connections=connections, taken=taken, volume=volume, journal=journal) if reported else None
    )
    return ListenerState(index, alive, taken if handed is None else handed, report, age)


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
    assert takers([listener(0, journal="no space"), listener(1, connections=7)]) == [1, 0]
    assert takers([listener(0, volume="no space")]) == [0]


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
    assert reasons_not_ready([listener(0, volume="away"), listener(1)], stopping=False) == []


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (listener(reported=False), "has not reported yet"),
        (listener(age=7.4), "silent for 7 s"),
        (listener(alive=False), "has ended"),
        (listener(volume="free space below CHRIS_MIN_FREE_SPACE"), "free space below CHRIS_MIN_FREE_SPACE"),
        (listener(journal="journal: No space left on device"), "journal: No space left on device"),
        (listener(volume="away", journal="broken"), "away"),
    ],
)
def test_each_unfit_listener_gives_its_reason(state: ListenerState, reason: str) -> None:
    assert reasons_not_ready([state], stopping=False) == [f"listener 0: {reason}"]


def test_a_receiver_that_shuts_down_is_not_ready() -> None:
    assert reasons_not_ready([listener()], stopping=True) == ["shutting down"]
