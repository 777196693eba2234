"""When has a series come? Decided from two looks."""

from dataclasses import replace

import pytest

from lapidicom.registrar.series.settling import (
    Decision,
    Known,
    Look,
    LookAgain,
    Missing,
    SeriesPatience,
    Settled,
    Watch,
    decide,
    pause,
)

NOW = 1_000_000.0
PATIENCE = SeriesPatience(settle=10, incomplete=600)
LOOK = Look(count=5, touched=7)
SEEN = Watch(count=5, touched=7, since=NOW - 10, first_look=NOW - 30)
JUST_NOW = replace(SEEN, since=NOW)


def decided(before: Watch | None = SEEN, look: Look = LOOK, known: Known | None = None) -> Decision:
    return decide(before, look, known or Known(), PATIENCE, NOW)


def test_a_series_that_has_not_changed_for_the_settle_time_has_come() -> None:
    assert decided() == Settled(LOOK)


def test_the_first_look_begins_the_settle_time() -> None:
    assert decided(None) == LookAgain(pytest.approx(9.9), Watch(5, 7, NOW, NOW))


@pytest.mark.parametrize("look", [Look(6, 7), Look(4, 7), Look(5, 8), Look(5, 6)])
def test_whatever_changes_begins_it_anew(look: Look) -> None:
    expected = Watch(look.count, look.touched, NOW, SEEN.first_look)
    assert decided(look=look) == LookAgain(pytest.approx(9.9), expected)


def test_less_than_the_settle_time_is_waited_for_only() -> None:
    before = replace(SEEN, since=NOW - 6)
    assert decided(before) == LookAgain(pytest.approx(3.9), before)


def test_an_open_series_has_not_come_however_long_it_has_been_still() -> None:
    before = replace(SEEN, since=NOW - 10_000)
    assert decided(before, replace(LOOK, is_open=True)) == LookAgain(7.5, JUST_NOW)


def test_an_open_series_is_looked_at_less_and_less_often() -> None:
    is_open = replace(LOOK, is_open=True)
    waits = [
        answer.seconds
        for age in (0, 4, 40, 10_000)
        if isinstance(answer := decided(replace(SEEN, first_look=NOW - age), is_open), LookAgain)
    ]
    assert waits == [0, 1, 10, 60]


def test_files_that_a_receiver_has_counted_are_waited_for() -> None:
    assert decided(known=Known(files=6)) == LookAgain(7.5, SEEN)
    assert decided(known=Known(files=5)) == Settled(LOOK)
    assert decided(known=Known(files=4)) == Settled(LOOK)


def test_a_series_without_a_file_is_never_registered() -> None:
    empty = replace(SEEN, count=0)
    assert decided(empty, replace(LOOK, count=0)) == LookAgain(7.5, empty)


@pytest.mark.parametrize(("count", "files"), [(5, 6), (0, None)])
def test_after_an_hour_without_a_marker_they_are_missing(count: int, files: int | None) -> None:
    before = replace(SEEN, count=count, since=NOW - 3600)
    look = replace(LOOK, count=count)
    assert decided(before, look, Known(files)) == Missing("files-missing")
    assert isinstance(decided(before, replace(look, is_open=True), Known(files)), LookAgain)
    assert isinstance(decided(before, replace(look, touched=8), Known(files)), LookAgain)


def test_a_series_with_all_that_the_pacs_has_has_come_at_once() -> None:
    assert decided(None, known=Known(expected=5)) == Settled(LOOK)
    assert isinstance(decided(None, replace(LOOK, is_open=True), Known(expected=5)), LookAgain)
    assert isinstance(decided(None, known=Known(files=6, expected=5)), LookAgain)


def test_the_rest_of_what_the_pacs_has_is_waited_for_but_not_for_ever() -> None:
    assert decided(known=Known(expected=6)) == LookAgain(pytest.approx(589.9), SEEN)
    assert decided(replace(SEEN, since=NOW - 600), known=Known(expected=6)) == Settled(LOOK)


def test_more_than_the_pacs_has_settles_as_without_its_word() -> None:
    assert isinstance(decided(None, known=Known(expected=4)), LookAgain)
    assert decided(known=Known(expected=4)) == Settled(LOOK)


def test_a_clock_that_is_ahead_does_not_make_a_series_wait_for_ever() -> None:
    ahead = replace(SEEN, since=NOW + 1000, first_look=NOW + 1000)
    assert decided(ahead) == LookAgain(pytest.approx(9.9), Watch(5, 7, NOW, NOW))


@pytest.mark.parametrize(
    ("seconds", "delay"), [(0, 5), (4.9, 5), (5, 5), (9.9, 5), (29.95, 30), (125, 120), (10_000, 600)]
)
def test_a_wait_is_never_longer_than_it_must_be(seconds: float, delay: int) -> None:
    assert pause(seconds, (5, 30, 120, 600)) == delay


def test_a_settle_time_of_ten_seconds_takes_two_passes_of_the_shortest_delay_queue() -> None:
    now, before, passes = NOW, None, 0
    while isinstance(answer := decide(before, LOOK, Known(), PATIENCE, now), LookAgain):
        before, passes = answer.watch, passes + 1
        now += pause(answer.seconds, (5, 30, 120, 600)) + 0.02
    assert (answer, passes) == (Settled(LOOK), 2)
