"""What lives and series leave in the spool goes when nobody needs it, and not before."""

import os
from collections.abc import Collection
from pathlib import Path

import pytest

from lapidicom.common.file_system import FileSystem
from lapidicom.common.open_series import is_open, marker_name
from lapidicom.receiver.relay.spool_sweep import SpoolSweep
from tests.support.journal_owner import Owner, received
from tests.support.journal_records import FakePublisher
from tests.support.relay_rig import Clock, RelayRig

LIFE, OTHER_LIFE = "a" * 32, "b" * 32
DAY = 86_400.0
NOW = 100 * DAY


class Spool:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.sweep = SpoolSweep(FileSystem(), root, days=7, now=lambda: NOW)

    def mark(self, life: str = LIFE, uid: str = "1.2.3", association: str = "a-1") -> Path:
        marker = self.root / "open/PACS" / uid / marker_name(life, association)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        return marker

    def fix(self, days: float, uid: str = "1.2.3", number: int = 1) -> Path:
        entry = self.root / "series/PACS" / f"{uid}.{number}"
        entry.parent.mkdir(parents=True, exist_ok=True)
        entry.touch()
        os.utime(entry, (NOW - days * DAY,) * 2)
        return entry

    def run(self, finished: Collection[str] = (), others: Collection[str] = ()) -> None:
        self.sweep.run(finished=finished, others=others)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path)


def test_all_markers_of_a_life_are_removed_and_no_others(spool: Spool) -> None:
    ours = [spool.mark(uid=f"1.{number}", association=a) for number in range(3) for a in ("a-1", "a-2")]
    theirs = spool.mark(OTHER_LIFE, "1.1")
    spool.sweep.remove_markers(LIFE)
    assert [marker.exists() for marker in (*ours, theirs)] == [False] * 6 + [True]


def test_a_sweep_takes_markers_of_finished_lives_and_leaves_those_of_others(spool: Spool) -> None:
    """A relay of an earlier version has finished that life."""
    over, living = spool.mark(), spool.mark(OTHER_LIFE)
    for _ in range(3):
        spool.run({LIFE}, {OTHER_LIFE})
    assert (over.exists(), living.exists()) == (False, True)


def test_the_marker_of_a_life_without_a_journal_goes_at_the_second_look(spool: Spool) -> None:
    """The first one may come before this client sees a new journal's folder."""
    marker = spool.mark()
    spool.run()
    assert marker.exists()
    spool.run(others={LIFE})
    spool.run()
    assert marker.exists()
    spool.run()
    assert not marker.exists()


def test_entries_go_after_days_without_use_unless_the_series_is_open(spool: Spool) -> None:
    old, fresh, is_marked = spool.fix(8, "1.1"), spool.fix(6, "1.2"), spool.fix(8, "1.3")
    spool.mark(uid="1.3")
    spool.run(others={LIFE})
    assert [entry.exists() for entry in (old, fresh, is_marked)] == [False, True, True]


def test_entries_of_one_series_go_together(spool: Spool) -> None:
    """Without the first one the second identity's could get the first one's folder."""
    first, second = spool.fix(8, number=1), spool.fix(6, number=2)
    spool.run()
    assert first.exists()
    assert second.exists()
    spool.fix(8, number=2)
    spool.run()
    assert not first.exists()
    assert not second.exists()


def test_a_folder_without_markers_goes_after_an_hour(spool: Spool) -> None:
    used, unused = spool.mark(uid="1.1"), spool.mark(uid="1.2")
    for marker, minutes in ((used, 59), (unused, 61)):
        marker.unlink()
        os.utime(marker.parent, (NOW - minutes * 60,) * 2)
    spool.run()
    assert (used.parent.exists(), unused.parent.exists()) == (True, False)


def test_a_finished_life_leaves_no_marker_and_its_series_end_with_a_count_of_files(tmp_path: Path) -> None:
    owner = Owner(tmp_path)
    owner.store(1, 2, first=True)
    spool = tmp_path / ".lapidicom"
    marker = spool / "open/MODALITY/1.2.3.1" / marker_name(owner.life, "association-1")
    marker.parent.mkdir(parents=True)
    marker.touch()
    rig = RelayRig(tmp_path, FakePublisher(), Clock())
    rig.work()
    assert is_open(spool, "MODALITY", "1.2.3.1")
    rig.journals.owner_ended(owner.name)
    rig.work()
    assert not is_open(spool, "MODALITY", "1.2.3.1")
    assert rig.publisher.subjects[-1] == received(2, "broken off")  # type: ignore[attr-defined]
    assert b'"files":2' in rig.publisher.stored[-1].body  # type: ignore[attr-defined]
    owner.journal.close()


def test_series_are_ended_once_though_their_markers_cannot_be_removed(tmp_path: Path) -> None:
    owner = Owner(tmp_path)
    owner.store(1, first=True)
    rig = RelayRig(tmp_path, FakePublisher(), Clock())
    rig.journals.owner_ended(owner.name)
    fails = [True]
    remove = rig.sweep.remove_markers

    def fail(life: str) -> None:
        if fails:
            raise PermissionError
        remove(life)

    rig.sweep.remove_markers = fail  # type: ignore[method-assign]
    for _ in range(3):
        rig.work()
        rig.clock.now += 10
    assert "journal_finished" not in rig.event_names
    fails.clear()
    rig.work()
    assert "journal_finished" in rig.event_names
    assert rig.publisher.subjects.count(received(1, "broken off")) == 1  # type: ignore[attr-defined]
    owner.journal.close()
