"""Which letters a replay takes: the first walk counts what the second one does."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapidicom.cli.dead_letters.letter import DeadLetter
from lapidicom.cli.filters import Filters
from lapidicom.cli.replay.edits import make_edits
from lapidicom.cli.replay.headers import REPLAY
from lapidicom.cli.replay.records import Record
from lapidicom.cli.replay.selection import Leave, Merge, Seeing, Seen, Selection, Send
from tests.support.letters import letter
from tests.support.seeds import examples

NOW = "2026-11-24T03:00:00+00:00"


def see(selection: Selection, letters: Sequence[DeadLetter], *records: Record) -> Seen:
    seeing = Seeing(selection, records)
    for one in letters:
        seeing.add(one)
    return seeing.finish()


def selected(*letters: DeadLetter, filters: Filters | None = None, limit: int | None = None) -> list[str]:
    """What becomes of each letter: its kind of choice."""
    selection = Selection(filters or Filters(), make_edits((), ()), "r1", limit)
    see(selection, letters)
    return [type(selection.choose(one, NOW)).__name__ for one in letters]


def test_only_what_the_filters_mean_is_sent() -> None:
    assert selected(letter(1, "refused: a"), letter(2, "file-missing"), filters=Filters(("refused",))) == [
        "Send",
        "Leave",
    ]


def test_a_limit_takes_the_oldest() -> None:
    assert selected(letter(1), letter(2), letter(3), limit=2) == ["Send", "Send", "Leave"]


def test_a_second_copy_is_merged_and_an_unlike_one_is_left() -> None:
    assert selected(letter(1), letter(2), letter(1), letter(1, PatientName="ROE")) == [
        "Send",
        "Send",
        "Merge",
        "Leave",
    ]


def test_a_copy_is_merged_even_behind_the_limit() -> None:
    assert selected(letter(1), letter(2), letter(1), limit=1) == ["Send", "Leave", "Merge"]


def test_what_came_back_from_this_very_replay_is_not_sent_again() -> None:
    assert selected(letter(1, headers={REPLAY: "r1"}), letter(2, headers={REPLAY: "r0"})) == ["Leave", "Send"]


def test_letters_of_open_records_are_told_where_they_are_selected() -> None:
    named = Record("r0", "alice", NOW, ("m1",))
    selection = Selection(Filters(reasons=("refused",)), make_edits((), ()), "r1")
    seen = see(selection, [letter(1), letter(2, "file-missing")], named)
    assert (seen.second, seen.recorded) == (1, {"m1"})


def test_an_edited_letter_is_sent_with_its_new_body_and_one_that_cannot_be_edited_is_left() -> None:
    selection = Selection(Filters(), make_edits(["Modality=OT"], ()), "r1")
    letters = [letter(1), letter(2, body=b"?"), letter(3, Modality="OT")]
    seen = see(selection, letters)
    assert (seen.selected, seen.changed, seen.uneditable) == (2, 1, 1)
    first, second, third = (selection.choose(one, NOW) for one in letters)
    assert isinstance(first, Send)
    assert b'"Modality":"OT"' in first.envelope.body
    assert second == Leave()
    assert isinstance(third, Send)
    assert third.envelope.body == letters[2].body


def test_only_a_message_that_registers_a_file_has_a_path_to_ask_for() -> None:
    selection = Selection(Filters(), make_edits((), ()), "r1")
    choice = selection.choose(letter(1), NOW)
    assert isinstance(choice, Send)
    assert choice.path == letter(1).path
    assert choice.letter.body == b""


letters_strategy = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.sampled_from(["refused: a", "file-missing"]),
        st.sampled_from(["DOE", "ROE"]),
        st.sampled_from(["", "r0", "r1"]),
    ),
    max_size=12,
)


@settings(max_examples=examples(60))
@given(letters_strategy, st.sampled_from([Filters(), Filters(("refused",))]), st.none() | st.integers(1, 5))
def test_the_second_walk_does_what_the_first_has_counted(
    drawn: list[tuple[int, str, str, str]], filters: Filters, limit: int | None
) -> None:
    when = datetime(2026, 1, 1, tzinfo=UTC)
    letters = [
        letter(
            number, reason, died=when + timedelta(seconds=place), headers={REPLAY: replay}, PatientName=name
        )
        for place, (number, reason, name, replay) in enumerate(drawn)
    ]
    selection = Selection(filters, make_edits((), ()), "r1", limit)
    seen = see(selection, letters)
    choices = [selection.choose(one, NOW) for one in letters]
    sent = [choice.letter.id for choice in choices if isinstance(choice, Send)]
    assert len(sent) == seen.selected
    assert len(set(sent)) == len(sent)
    assert sum(isinstance(choice, Merge) for choice in choices) == seen.copies
    # A session may end in the middle: what was not taken out is chosen alike when it comes again.
    left = [one for one, choice in zip(letters, choices, strict=True) if isinstance(choice, Leave)]
    assert [selection.choose(one, NOW) for one in left] == [Leave()] * len(left)


@pytest.mark.parametrize("limit", [None, 3])
def test_nothing_is_selected_of_nothing(limit: int | None) -> None:
    assert see(Selection(Filters(), make_edits((), ()), "r1", limit), []) == Seen()
