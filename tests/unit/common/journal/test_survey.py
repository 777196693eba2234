"""Who only looks at journals reads every record, and says of each how far the relay is."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.bad_lines import BadLines, noted_bad_lines
from lapidicom.common.journal.format import Position, encode_position, frame
from lapidicom.common.journal.reader import find_journals
from lapidicom.common.journal.survey import RelayState, Survey
from tests.support.journal_records import instance

LIFE = "0123456789abcdef" * 2
OTHER = "fedcba9876543210" * 2


class Spool:
    """A spool whose journals are written by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def folder(self, life: str = LIFE, **positions: Position) -> Path:
        folder = self.path / "journals/2" / f"receiver-1.{life}"
        folder.mkdir(parents=True, exist_ok=True)
        for name, position in positions.items():
            (folder / name).write_bytes(encode_position(position))
        return folder

    def segment(self, name: str, numbers: Sequence[int], life: str = LIFE) -> list[int]:
        """Write a segment of instances; returns where each line ends."""
        lines = [frame(number, instance(number)) for number in numbers]
        (self.folder(life) / name).write_bytes(b"".join(lines))
        return [sum(map(len, lines[: count + 1])) for count in range(len(lines))]

    def survey(self) -> Survey:
        return Survey(self.path)

    def told(self) -> dict[int, RelayState]:
        return {entry.record.sequence: entry.relay for entry in self.survey().entries()}


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path)


def test_a_spool_without_journals_tells_nothing(spool: Spool) -> None:
    assert list(spool.survey().entries()) == []
    assert spool.survey().size() == 0


def test_all_journals_and_segments_are_read_done_ones_too(spool: Spool) -> None:
    spool.segment("00000001.done", [1, 2])
    spool.segment("00000002.log", [3])
    spool.segment("00000001.log", [7], life=OTHER)
    entries = list(spool.survey().entries())
    assert [(entry.life, entry.record.sequence) for entry in entries] == [
        (LIFE, 1),
        (LIFE, 2),
        (LIFE, 3),
        (OTHER, 7),
    ]
    assert {entry.receiver_id for entry in entries} == {"receiver-1"}


def test_done_segments_and_what_the_cursor_has_passed_are_relayed(spool: Spool) -> None:
    spool.segment("00000001.done", [1])
    first, second, third = spool.segment("00000002.log", [2, 3, 4])
    spool.folder(cursor=Position(2, first), committed=Position(2, second))
    assert third > second
    assert spool.told() == {
        1: RelayState.RELAYED,
        2: RelayState.RELAYED,
        3: RelayState.NOT_RELAYED,
        4: RelayState.BEHIND_MARK,
    }


def test_behind_the_mark_of_a_finished_life_nobody_can_tell(spool: Spool) -> None:
    first, second = spool.segment("00000001.log", [1, 2])
    spool.folder(committed=Position(1, first), finished=Position(1, second))
    assert spool.told() == {1: RelayState.RELAYED, 2: RelayState.NEVER_ANSWERED_OR_RELAYED}


def test_what_was_set_aside_is_told_as_such(spool: Spool) -> None:
    spool.segment("00000001.done", [1, 2])
    (spool.folder() / "00000001.aside").write_bytes(frame(2, instance(2))[9:])
    assert spool.told() == {1: RelayState.RELAYED, 2: RelayState.SET_ASIDE}


def test_only_what_is_wanted_is_given(spool: Spool) -> None:
    spool.segment("00000001.log", [1, 2, 12])
    found = spool.survey().entries(lambda text: b'"1.2.3.1.12"' in text)
    assert [entry.record.sequence for entry in found] == [12]


def test_a_bad_line_before_the_mark_is_skipped_and_told(spool: Spool) -> None:
    ends = spool.segment("00000001.log", [1, 2, 3])
    segment = spool.folder(committed=Position(1, ends[2])) / "00000001.log"
    segment.write_bytes(segment.read_bytes().replace(b"1.2.3.1.2", b"1.2.3.1.3", 1))
    survey = spool.survey()
    assert [entry.record.sequence for entry in survey.entries()] == [1, 3]
    assert survey.bad_places == 1


def test_the_rest_of_a_failed_write_hides_nothing(spool: Spool) -> None:
    spool.segment("00000001.log", [1, 2])
    torn = spool.folder(committed=Position(2, 0)) / "00000001.log"
    torn.write_bytes(torn.read_bytes()[:-5])
    spool.segment("00000002.log", [3])
    survey = spool.survey()
    assert [entry.record.sequence for entry in survey.entries()] == [1, 3]
    assert survey.bad_places == 0


def test_what_a_relay_noted_of_a_bad_place_is_told_with_the_time_that_it_concerns(spool: Spool) -> None:
    moment = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    noted = BadLines(Position(1, 700), 350, moment, None)
    (spool.folder() / "00000001.bad").write_bytes(noted.encode() + b"torn")
    [(name, folder)] = find_journals(FileSystem(), str(spool.path)).readable.items()
    assert (name, list(noted_bad_lines(folder))) == (f"receiver-1.{LIFE}", [noted])


def test_journals_of_a_newer_version_are_named_and_not_read(spool: Spool) -> None:
    spool.segment("00000001.log", [1])
    newer = spool.path / "journals/3" / f"receiver-1.{OTHER}"
    newer.mkdir(parents=True)
    (newer / "00000001.log").write_bytes(frame(1, instance(1)))
    survey = spool.survey()
    assert [entry.life for entry in survey.entries()] == [LIFE]


def test_the_progress_adds_up_to_the_size(spool: Spool) -> None:
    spool.segment("00000001.done", [1])
    spool.segment("00000001.log", range(1, 900), life=OTHER)
    steps: list[int] = []
    survey = Survey(spool.path, steps.append)
    assert sum(1 for _ in survey.entries()) == 900
    assert sum(steps) == survey.size()
    assert len(steps) > 2


def test_segments_that_disappear_while_they_are_read_are_no_error(spool: Spool) -> None:
    spool.segment("00000001.log", [1])
    spool.segment("00000001.log", [2], life=OTHER)
    entries = spool.survey().entries()
    next(entries)
    for file in (spool.path / "journals/2" / f"receiver-1.{OTHER}").iterdir():
        file.unlink()
    (spool.path / "journals/2" / f"receiver-1.{OTHER}").rmdir()
    assert list(entries) == []
