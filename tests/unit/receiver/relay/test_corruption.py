"""A disk that changes what it holds: before the mark that costs the lines it touches, and is reported."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.bad_lines import noted_bad_lines
from lapidicom.common.journal.format import lines
from lapidicom.common.journal.reader import find_journals
from tests.support.journal_owner import Owner, paths, received
from tests.support.journal_records import FakePublisher
from tests.support.relay_rig import Clock, RelayRig


def flip(owner: Owner, wanted: bytes, first_segment: int = 0) -> int:
    """Flip a bit of the first line that holds these bytes; returns the line's offset."""
    file = next(one for one in owner.segments[first_segment:] if wanted in one.read_bytes())
    data = bytearray(file.read_bytes())
    line = next(line for line in lines(bytes(data), 0) if wanted in data[line.start : line.end])
    data[line.start + 20] ^= 1
    file.write_bytes(data)
    return line.start


def bad_lines(rig: RelayRig) -> list[dict[str, Any]]:
    return [fields for event, fields in rig.events if event == "journal_line_bad"]


def of_instance(number: int, series: int = 1) -> bytes:
    return paths(number, series=series)[0].encode()


def test_one_flipped_bit_costs_one_record_and_a_living_owner_goes_on(make_owner: Any, rig: RelayRig) -> None:
    owner = make_owner()
    owner.store(*range(1000), first=True)
    offset = flip(owner, of_instance(10))
    rig.work()
    owner.store(1000)
    rig.work()
    assert rig.publisher.subjects == paths(*range(10), *range(11, 1001))
    [found] = bad_lines(rig)
    assert (found["life"], found["segment"], found["offset"]) == (owner.life, 1, offset)
    assert rig.counts.lines_bad == 1


def test_the_time_around_a_bad_place_is_noted_once_for_all_relays(
    make_owner: Any, rig: RelayRig, tmp_path: Path, clock: Clock
) -> None:
    owner = make_owner()
    owner.store(*range(5), first=True)
    offset = flip(owner, of_instance(3))
    rig.work()
    rig.end()
    (owner.folder / "cursor").unlink()
    again = RelayRig(tmp_path, FakePublisher(), clock)
    again.work()
    assert bad_lines(again) == []
    again.end()
    [(name, folder)] = find_journals(FileSystem(), str(tmp_path / ".lapidicom")).readable.items()
    assert name == owner.name
    [noted] = noted_bad_lines(folder)
    assert (noted.start.segment, noted.start.offset) == (1, offset)
    moment = datetime(2024, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    assert (noted.after, noted.before) == (moment, moment)


def test_a_place_that_cannot_be_noted_is_reported_and_passed_all_the_same(
    make_owner: Any, tmp_path: Path, clock: Clock
) -> None:
    class ReadOnly(FileSystem):
        def open(self, path: str, flags: int, *args: Any, **kwargs: Any) -> int:  # type: ignore[override]
            if path.endswith(".bad"):
                raise OSError(30, "EROFS")
            return FileSystem.open(path, flags, *args, **kwargs)

    owner = make_owner()
    owner.store(1, 2, 3, first=True)
    flip(owner, of_instance(2))
    rig = RelayRig(tmp_path, FakePublisher(), clock, file_system=ReadOnly())
    rig.work()
    assert rig.publisher.subjects == paths(1, 3)
    assert len(bad_lines(rig)) == 1
    rig.end()


def test_a_segment_that_is_over_is_read_behind_a_bad_line_and_relayed_to_its_end(
    make_owner: Any, rig: RelayRig
) -> None:
    owner = make_owner(limit=3000)
    owner.store(*range(12), first=True)
    flip(owner, of_instance(4))
    rig.work()
    assert rig.publisher.subjects == paths(*range(4), *range(5, 12))
    assert owner.segments[0].suffix == ".done"


@pytest.mark.parametrize("with_mark", [True, False])
def test_without_a_mark_each_segment_but_the_last_is_known_to_have_been_durable(
    make_owner: Any, rig: RelayRig, *, with_mark: bool
) -> None:
    """As after a power cut, which may take the mark but nothing that was synced."""
    owner = make_owner(limit=3000)
    owner.store(*range(12), first=True)
    flip(owner, of_instance(1))
    if not with_mark:
        owner.lose_mark()
    rig.journals.owner_ended(owner.name)
    rig.work()
    assert rig.publisher.subjects == [*paths(0, *range(2, 12)), received(12, "broken off")]
    assert len(bad_lines(rig)) == 1


def test_without_a_mark_a_bad_line_ends_the_last_segment(make_owner: Any, rig: RelayRig) -> None:
    owner = make_owner()
    owner.store(*range(5), first=True)
    flip(owner, of_instance(3))
    owner.lose_mark()
    rig.journals.owner_ended(owner.name)
    rig.work()
    assert rig.publisher.subjects == [*paths(0, 1, 2), received(3, "broken off")]
    assert bad_lines(rig) == []
    assert rig.event_names.count("journal_tail_torn") == 1


def test_an_owner_that_goes_on_while_it_is_taken_for_dead_loses_no_line_behind_a_bad_one(
    make_owner: Any, tmp_path: Path, clock: Clock
) -> None:
    owner = make_owner()
    goes_on = [True]

    class Meanwhile(FileSystem):
        def open(self, path: str, flags: int, *args: Any, **kwargs: Any) -> int:  # type: ignore[override]
            if path.endswith(".log") and goes_on:
                goes_on.clear()
                owner.store(2, 3, 4)
                flip(owner, of_instance(2))
            return FileSystem.open(path, flags, *args, **kwargs)

    owner.store(0, 1, first=True)
    rig = RelayRig(tmp_path, FakePublisher(), clock, file_system=Meanwhile())
    rig.journals.owner_ended(owner.name)
    rig.work()
    assert rig.publisher.subjects[:4] == paths(0, 1, 3, 4)
    assert len(bad_lines(rig)) == 1
    rig.end()


def test_what_a_later_segment_tells_of_a_failed_write_is_no_corruption(
    make_owner: Any, rig: RelayRig
) -> None:
    """A batch that failed left a whole line that is bad, and one that is good: neither was answered."""
    owner = make_owner()
    owner.store(1, first=True)
    with owner.segments[0].open("ab") as segment:
        segment.write(b"\0" * 200 + b"\n")
    owner.journal._group._segments.close_segment()
    owner.store(2)
    rig.work()
    assert rig.publisher.subjects == paths(1, 2)
    assert bad_lines(rig) == []


def test_a_bad_first_record_of_the_next_segment_hides_nothing_of_the_one_before(
    make_owner: Any, rig: RelayRig
) -> None:
    owner = make_owner(limit=3000)
    owner.store(*range(12), first=True)
    flip(owner, of_instance(1))
    flip(owner, b"segment_opened", first_segment=1)
    rig.work()
    assert rig.publisher.subjects == paths(0, *range(2, 12))
    assert len(bad_lines(rig)) == 2


def test_a_series_whose_beginning_is_lost_is_ended_all_the_same(make_owner: Any, rig: RelayRig) -> None:
    owner = make_owner()
    owner.store(1, 2, first=True)
    flip(owner, b"series_started")
    rig.journals.owner_ended(owner.name)
    rig.work()
    assert rig.publisher.subjects == [*paths(1, 2), received(2, "broken off")]
    last = json.loads(rig.publisher.stored[-1].body)
    assert (last["SeriesInstanceUID"], last["receiver"]) == ("1.2.3.1", "receiver-1")
    assert "SOPInstanceUID" not in last


@pytest.mark.parametrize("bad", [b"segment_opened", b"series_open\t"])
def test_a_list_of_open_series_that_cannot_be_read_whole_is_made_from_the_segment_before(
    make_owner: Any, rig: RelayRig, bad: bytes
) -> None:
    owner = make_owner(limit=3000)
    owner.store(1, first=True)
    owner.store(1, series=2, first=True)
    owner.store(*range(2, 9))
    assert len(owner.segments) == 3
    flip(owner, bad, first_segment=2)
    rig.journals.owner_ended(owner.name)
    rig.work()
    assert sorted(rig.publisher.subjects[-2:]) == [
        received(8, "broken off"),
        received(1, "broken off", series=2),
    ]


def test_a_list_torn_by_a_power_cut_never_counts(make_owner: Any, tmp_path: Path, clock: Clock) -> None:
    """The first batch of a segment was not synced: any part of it may be there. None was answered."""
    owner = make_owner(limit=3300)
    for series in range(1, 4):
        owner.store(1, series=series, first=True)
    owner.store(2)
    [*_, before, last] = owner.segments
    content = last.read_bytes()
    answered = [line.end for line in lines(content, 0)][-1]
    assert content.count(b"series_open\t") == 3
    for length in range(0, answered, 149):
        last.write_bytes(content[:length])
        for name in ("committed", "cursor", "finished", "claim"):
            (owner.folder / name).write_bytes(b"")
        rig = RelayRig(tmp_path, FakePublisher(), clock)
        rig.journals.owner_ended(owner.name)
        rig.work()
        ends = [subject for subject in rig.publisher.subjects if subject.endswith("broken off")]
        assert sorted(ends) == [received(1, "broken off", series=series) for series in (1, 2, 3)], length
        assert bad_lines(rig) == []
        rig.end()
    assert before.exists()


def test_a_page_that_a_network_file_system_shows_as_it_was_is_looked_at_again(
    make_owner: Any, tmp_path: Path, clock: Clock
) -> None:
    """What another client has appended may read as zeros, until the file is opened anew."""

    class Stale(FileSystem):
        opened = 0

        def open(self, path: str, flags: int, *args: Any, **kwargs: Any) -> int:  # type: ignore[override]
            self.opened += path.endswith(".log")
            return FileSystem.open(path, flags, *args, **kwargs)

        def pread(self, fd: int, length: int, offset: int) -> bytes:  # type: ignore[override]
            data = FileSystem.pread(fd, length, offset)
            if length > 10_000 and self.opened == 1 and b"\n" in data:
                return data[:1000] + bytes(len(data) - 1000)
            return data

    owner = make_owner()
    owner.store(*range(5), first=True)
    rig = RelayRig(tmp_path, FakePublisher(), clock, file_system=Stale())
    rig.work()
    assert rig.publisher.subjects == paths(*range(5))
    assert bad_lines(rig) == []
    rig.end()
