"""From what is known of an instance to its state, and from its instances to that of a series."""

from datetime import UTC, datetime

import pytest

from lapidicom.cli.errors import NotVisible
from lapidicom.cli.trace.story import (
    EXIT_STATUSES,
    MOST_EVENTS,
    Event,
    InCube,
    Kind,
    Letter,
    State,
    Story,
    counts,
    worst,
)
from lapidicom.common.journal.survey import Relay

LETTER = Letter("life.1", "refused", "", "", None, 400, 1)
REGISTERED = InCube("http://cube/1/", "")
UNSEEN = NotVisible("set CHRIS_URL")


def event(kind: Kind = Kind.RECEIVED, relay: Relay = Relay.RELAYED, second: int = 0) -> Event:
    when = datetime(2024, 1, 2, 3, 4, second, tzinfo=UTC)
    return Event(kind, when, "A", "B", "127.0.0.1:1", "receiver-1", "a1", relay)


def story(*events: Event, **known: object) -> Story:
    return Story("1.2", "A", "path", events=list(events), **known)  # type: ignore[arg-type]


REFUSED = event(Kind.REFUSED)

CASES = [
    (story(event(), cube=REGISTERED), State.REGISTERED),
    (story(event(), cube=REGISTERED, letters=[LETTER]), State.REGISTERED),
    (story(cube=REGISTERED), State.REGISTERED),
    (story(event(), letters=[LETTER]), State.DEAD_LETTER),
    (story(event(), letters=[LETTER], cube=UNSEEN), State.DEAD_LETTER),
    (story(event()), State.WAITING),
    (story(event(), cube=UNSEEN), State.UNSEEN),
    (story(event(relay=Relay.NOT_RELAYED)), State.NOT_RELAYED),
    (story(event(relay=Relay.NOT_RELAYED), cube=UNSEEN), State.NOT_RELAYED),
    (story(event(relay=Relay.BEHIND_MARK)), State.NOT_RELAYED),
    (story(event(), event(relay=Relay.NOT_RELAYED)), State.NOT_RELAYED),
    (story(event(relay=Relay.SET_ASIDE)), State.SET_ASIDE),
    (story(event(relay=Relay.SET_ASIDE), event()), State.WAITING),
    (story(event(relay=Relay.NEVER_ANSWERED_OR_RELAYED)), State.WAITING),
    (story(REFUSED), State.REFUSED),
    (story(REFUSED, event()), State.WAITING),
    (story(event(), REFUSED), State.WAITING),
    (story(file=10), State.STORED),
    (story(file=10, cube=UNSEEN), State.UNSEEN),
    (story(file=None), State.UNKNOWN),
    (story(file=UNSEEN, cube=UNSEEN), State.UNKNOWN),
]


@pytest.mark.parametrize(("known", "state"), CASES)
def test_the_state_of_an_instance(known: Story, state: State) -> None:
    assert known.state is state


def test_a_series_is_as_its_worst_instance() -> None:
    assert worst([State.REGISTERED, State.WAITING, State.REGISTERED]) is State.WAITING
    assert worst([State.WAITING, State.DEAD_LETTER]) is State.DEAD_LETTER
    assert worst([]) is State.UNKNOWN


def test_each_state_has_an_exit_status_of_its_own_and_none_of_those_of_all_commands() -> None:
    assert set(EXIT_STATUSES) == set(State)
    assert len(set(EXIT_STATUSES.values())) == len(State)
    assert not {2, 3, 130} & set(EXIT_STATUSES.values())


def test_instances_are_counted_by_state_the_worst_first() -> None:
    stories = [story(cube=REGISTERED), story(event()), story(cube=REGISTERED), story(letters=[LETTER])]
    assert list(counts(stories).items()) == [
        (State.DEAD_LETTER, 1),
        (State.WAITING, 1),
        (State.REGISTERED, 2),
    ]


def test_of_endless_receptions_the_first_and_the_last_are_kept() -> None:
    known = story()
    for number in range(MOST_EVENTS + 50):
        known.add(event(second=number % 60))
    assert (len(known.events), known.omitted) == (MOST_EVENTS, 50)


def test_events_of_several_journals_come_in_the_order_of_time() -> None:
    known = story(event(second=3), event(second=1), event(second=2))
    known.sort()
    assert [one.when.second for one in known.events if one.when] == [1, 2, 3]
