"""The list with which a segment begins: however many series are open, a reader takes every line of it."""

import json
from pathlib import Path

import pytest

from lapidicom.common.journal import records
from lapidicom.common.journal.format import MAX_BODY, MAX_LINE, lines
from lapidicom.receiver.errors import JournalUnavailable
from tests.support.journal_owner import Owner
from tests.support.journal_records import FakePublisher, instance, key, series_fields
from tests.support.relay_rig import Clock, RelayRig


@pytest.fixture
def owner(tmp_path: Path):  # type: ignore[no-untyped-def]
    found = Owner(tmp_path, limit=100_000)
    yield found
    found.journal.close()


def published(root: Path, owner: Owner) -> list[str]:
    """What a relay makes of the journal of an owner that has ended."""
    rig = RelayRig(root, FakePublisher(), Clock())
    rig.journals.owner_ended(owner.name)
    rig.work()
    assert not {"journal_line_bad", "journal_tail_torn"} & set(rig.event_names)
    rig.end()
    found: list[str] = rig.publisher.subjects
    return found


def longest_line(owner: Owner) -> int:
    return max(line.end - line.start for file in owner.segments for line in lines(file.read_bytes(), 0))


def test_six_thousand_open_series_hide_no_record(tmp_path: Path) -> None:
    owner = Owner(tmp_path, limit=1 << 20)
    for series in range(6000):
        owner.store(1, series=series, first=True)
    assert len(owner.segments) > 5
    assert longest_line(owner) < 2000
    found = published(tmp_path, owner)
    assert sum(not subject.endswith("broken off") for subject in found) == 6000
    assert sum(subject.endswith("broken off") for subject in found) == 6000
    owner.journal.close()


def test_descriptions_of_sixty_kilobytes_hide_no_record(owner: Owner, tmp_path: Path) -> None:
    """Each of their characters is six bytes of JSON."""
    description = "\xe4" * 60_000
    for series in range(13):
        fields = series_fields(series=series) | {"StudyDescription": description}
        message = records.parse(b"0\t" + instance(1, series=series)).fields()
        record = records.instance_received(json.dumps(message | {"StudyDescription": description}).encode())
        owner.write_file(1, series)
        owner.append(record, series=key(series=series), starts=records.series_started(fields))
    assert longest_line(owner) < MAX_LINE
    assert len(published(tmp_path, owner)) == 26


def test_there_is_room_for_records_behind_a_list_longer_than_a_segment(owner: Owner) -> None:
    for series in range(1000):
        owner.store(1, series=series, first=True)
    before = len(owner.segments)
    owner.store(*range(2, 42))
    # 40 records are 26 kB, a quarter of a segment; the list alone is four segments long.
    assert owner.segments[-1].stat().st_size > 400_000
    assert len(owner.segments) <= before + 1


@pytest.mark.parametrize("excess", [-600, -10, 0, 1, 100])
def test_a_series_that_no_reader_could_list_is_not_begun(owner: Owner, tmp_path: Path, excess: int) -> None:
    fields = series_fields() | {"StudyDescription": ""}
    length = MAX_BODY - len(records.series_started(fields)) + excess
    starts = records.series_started(fields | {"StudyDescription": "x" * length})
    if excess > 0:
        with pytest.raises(JournalUnavailable):
            owner.append(instance(1), series=key(), starts=starts)
        return
    owner.write_file(1)
    owner.append(instance(1), series=key(), starts=starts)
    owner.store(*range(2, 200))  # the next segments list it
    message = records.series_received_of(
        json.loads(records.series_fields_of(starts)),
        received=199,
        refused=0,
        ok=True,
        ended_at="2024-01-02T03:04:06Z",  # type: ignore[arg-type]
    )
    owner.journal.end([records.series_ended(message)], [key()])
    assert longest_line(owner) <= MAX_LINE
    assert len(published(tmp_path, owner)) == 200


def test_the_next_segment_tells_how_far_the_one_before_was_durable(owner: Owner) -> None:
    owner.store(*range(400), first=True)
    first, second, *_ = owner.segments
    head = records.parse(next(iter(lines(second.read_bytes(), 0))).text)  # type: ignore[union-attr]
    assert head.fields()["durable"] == [1, first.stat().st_size]


def test_a_list_is_written_again_for_a_new_life(tmp_path: Path) -> None:
    owner = Owner(tmp_path, limit=100_000)
    for series in range(50):
        owner.store(1, series=series, first=True)
    for file in owner.folder.iterdir():
        file.unlink()
    owner.beat()
    owner.store(2)
    folder = owner.folder.with_name(owner.journal.folder)
    found = [
        records.parse(line.text)  # type: ignore[union-attr]
        for line in lines((folder / "00000001.log").read_bytes(), 0)
    ]
    assert sum(record.kind == records.SERIES_OPEN for record in found) == 50
    assert found[0].fields()["durable"] == [0, 0]
    owner.journal.close()
