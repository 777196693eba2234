"""From what is known of an instance to its state, and from its instances to that of a series."""

from datetime import UTC, datetime
from typing import Any, Literal

import pytest

from lapidicom.cli.trace.story import (
    Detail,
    Event,
    InCube,
    Instance,
    Letter,
    State,
    counts,
    worst,
)
from lapidicom.common.journal.survey import RelayState

LETTER = Letter(
    id="life.1", reason="refused", meaning="", remedy="", died_at=None, http_status=400, attempts=1
)
REGISTERED = InCube(url="http://cube/1/")


def event(
    kind: Literal["received", "refused"] = "received",
    relay: RelayState | None = RelayState.RELAYED,
    second: int = 0,
) -> Event:
    when = datetime(2024, 1, 2, 3, 4, second, tzinfo=UTC)
    return Event(
        event=kind,
        when=when,
        calling_ae_title="A",
        peer_address="127.0.0.1:1",
        receiver="receiver-1",
        association_id="a1",
        relay=relay,
    )


def known(*events: Event, **more: Any) -> Instance:
    return Instance(SOPInstanceUID="1.2", pacs_name="A", path="path", events=list(events), **more)


REFUSED = event("refused", None)

CASES = [
    (known(event(), cube=REGISTERED), True, State.REGISTERED),
    (known(event(), cube=REGISTERED, dead_letters=[LETTER]), True, State.REGISTERED),
    (known(cube=REGISTERED), True, State.REGISTERED),
    (known(event(), dead_letters=[LETTER]), True, State.DEAD_LETTER),
    (known(event(), dead_letters=[LETTER]), False, State.DEAD_LETTER),
    (known(event()), True, State.WAITING),
    (known(event()), False, State.UNSEEN),
    (known(event(relay=RelayState.NOT_RELAYED)), True, State.NOT_RELAYED),
    (known(event(relay=RelayState.NOT_RELAYED)), False, State.NOT_RELAYED),
    (known(event(relay=RelayState.BEHIND_MARK)), True, State.NOT_RELAYED),
    (known(event(), event(relay=RelayState.NOT_RELAYED)), True, State.NOT_RELAYED),
    (known(event(relay=RelayState.SET_ASIDE)), True, State.SET_ASIDE),
    (known(event(relay=RelayState.SET_ASIDE), event()), True, State.WAITING),
    (known(event(relay=RelayState.NEVER_ANSWERED_OR_RELAYED)), True, State.WAITING),
    (known(REFUSED), True, State.REFUSED),
    (known(REFUSED, event()), True, State.WAITING),
    (known(event(), REFUSED), True, State.WAITING),
    (known(file_size=10), True, State.STORED),
    (known(file_size=10), False, State.UNSEEN),
    (known(), True, State.UNKNOWN),
    (known(), False, State.UNKNOWN),
]


@pytest.mark.parametrize(("one", "sees_cube", "state"), CASES)
def test_the_state_of_an_instance(one: Instance, sees_cube: bool, state: State) -> None:
    one.judge(sees_cube=sees_cube, sees_volume=False)
    assert one.state is state


def test_a_series_is_as_its_worst_instance() -> None:
    assert worst([State.REGISTERED, State.WAITING, State.REGISTERED]) is State.WAITING
    assert worst([State.WAITING, State.DEAD_LETTER]) is State.DEAD_LETTER
    assert worst([]) is State.UNKNOWN


def test_each_state_has_an_exit_status_of_its_own_and_none_of_those_of_all_commands() -> None:
    statuses = {state.exit_status for state in State}
    assert len(statuses) == len(State)
    assert not {2, 3, 130} & statuses
    assert all(state.meaning for state in State)


def test_instances_are_counted_by_state_the_worst_first() -> None:
    found = [State.REGISTERED, State.WAITING, State.REGISTERED, State.DEAD_LETTER]
    assert list(counts(found).items()) == [
        (State.DEAD_LETTER, 1),
        (State.WAITING, 1),
        (State.REGISTERED, 2),
    ]


@pytest.mark.parametrize(
    ("one", "line"),
    [
        (known(event(), size=10), "There is no file on the volume."),
        (known(event(), size=10, file_size=7), "Its file has 7 bytes, 10 were recorded."),
        (known(event(), cube=InCube()), "CUBE: registered, but CUBE does not find its file"),
        (known(event(), cube=REGISTERED), "CUBE: http://cube/1/"),
    ],
)
def test_what_is_odd_about_an_instance_is_said(one: Instance, line: str) -> None:
    one.judge(sees_cube=True, sees_volume=True)
    assert line in Detail(**dict(one)).headline()


def test_of_a_volume_that_is_not_visible_nothing_is_said() -> None:
    one = known(event(), size=10)
    one.judge(sees_cube=True, sees_volume=False)
    lines = list(Detail(**dict(one)).headline())
    assert lines == ["SOP Instance 1.2 of PACS A: waiting", State.WAITING.meaning]
