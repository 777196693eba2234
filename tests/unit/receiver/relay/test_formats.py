"""Old and new versions on one volume: what is older is read, what is newer is left alone, whole."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from lapidicom.common.journal.format import FOLDERS, FORMAT, frame
from tests.support.journal_owner import paths, received
from tests.support.journal_records import FakePublisher, instance, instance_path
from tests.support.relay_rig import Clock, RelayRig

SAMPLE = Path(__file__).parent / "format_1"
"""Journals as the version before wrote them. One owner was killed while it stored: behind the mark stand two
instances. The other journal is finished."""

KILLED, FINISHED = (f"receiver-1.{letter * 32}" for letter in "ab")
LIFE = "0123456789abcdef" * 2


@pytest.fixture
def old_journals(tmp_path: Path) -> Path:
    """The sample on a volume; the file of the last instance did not survive."""
    journals = tmp_path / ".lapidicom" / "journal"
    shutil.copytree(SAMPLE, journals)
    for number, series in [(1, 2), *((number, 1) for number in range(1, 7))]:
        file = tmp_path / instance_path(number, series)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"0123456789")
    return journals


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_living_owner_of_the_version_before_is_followed_up_to_its_mark(
    old_journals: Path, rig: RelayRig
) -> None:
    before = contents(old_journals / FINISHED)
    rig.work()
    assert rig.publisher.subjects == [
        *paths(1),
        *paths(1, series=2),
        *paths(2),
        received(1, series=2),
        *paths(3, 4, 5),
    ]
    assert rig.publisher.stored[0].lapidicom_id == f"{'a' * 32}.3"
    assert [envelope.headers for envelope in rig.publisher.stored if envelope.headers] == [
        {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    ]
    assert contents(old_journals / FINISHED) == before


def test_an_ended_life_of_the_version_before_is_finished(
    old_journals: Path, rig: RelayRig, clock: Clock
) -> None:
    rig.work()
    clock.now += 121
    rig.work()
    assert rig.publisher.subjects[-2:] == [*paths(6), received(6, "broken off")]
    assert rig.publisher.stored[-1].lapidicom_id == f"{'a' * 32}.2.ended"
    assert b'"refused":1' in rig.publisher.stored[-1].body
    assert (old_journals / KILLED / "finished").exists()
    assert rig.counts.never_answered == 1


def test_the_version_before_never_sees_a_journal_of_ours(make_owner: Any, tmp_path: Path) -> None:
    make_owner()
    assert not (tmp_path / ".lapidicom" / "journal").exists()


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """The journal of a format that does not exist yet; its owner is dead, and all of it is very old."""
    folder = tmp_path / ".lapidicom" / "journals" / "3" / f"receiver-1.{LIFE}"
    folder.mkdir(parents=True)
    (folder / "00000001.done").write_bytes(b"nobody knows")
    (folder / "00000002.log").write_bytes(frame(1, instance(1)))
    (folder / "parent").write_text("supervisor-1")
    return folder


def test_a_journal_of_a_newer_format_is_left_alone(newer: Path, tmp_path: Path, clock: Clock) -> None:
    before = contents(newer)
    rig = RelayRig(tmp_path, FakePublisher(), clock, days=0, min_free_space=1 << 60)
    for _ in range(5):
        rig.work()
        rig.retain()
        clock.now += 100_000_000
    rig.journals.owner_ended(newer.name)
    rig.work()
    rig.end()
    assert contents(newer) == before
    assert rig.publisher.stored == []
    assert rig.events == [("journal_left_alone", {"life": newer.name, "reason": "format 3"})]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"series_moved\t{}", "record series_moved"),
        (b'segment_opened\t{"format":3}', "format 3"),
        (b"no record", "record no record"),
    ],
)
def test_from_a_record_that_is_not_known_on_a_journal_is_left_alone(
    make_owner: Any, tmp_path: Path, clock: Clock, record: bytes, reason: str
) -> None:
    owner = make_owner(limit=1500, parent="supervisor-2")
    owner.store(1, 2, 3, first=True)
    last = owner.segments[-1]
    with last.open("ab") as segment:
        segment.write(frame(99, record) + frame(100, instance(4)))
    incoming = tmp_path / ".lapidicom" / "incoming" / owner.name / "half an instance"
    incoming.parent.mkdir(parents=True)
    incoming.touch()
    rig = RelayRig(tmp_path, FakePublisher(), clock, days=0, min_free_space=1 << 60)
    rig.work()
    clock.now += 121
    for _ in range(3):
        rig.work()
        clock.now += 121
    segments = owner.segments
    clock.now += 100_000_000
    rig.retain()
    rig.work()
    rig.end()
    assert rig.publisher.subjects == paths(1, 2, 3)
    assert owner.segments == segments
    assert last in segments
    assert incoming.exists()
    assert not {"finished", "claim"} & contents(owner.folder).keys()
    left = [fields for event, fields in rig.events if event == "journal_left_alone"]
    assert left == [{"life": owner.life, "reason": reason}]


def test_this_version_writes_where_its_format_has_its_place(make_owner: Any) -> None:
    owner = make_owner()
    place = Path(FOLDERS[FORMAT])
    assert owner.folder.parts[-3:-1] == place.parts
    assert f'"format":{FORMAT}'.encode() in owner.segments[0].read_bytes()
