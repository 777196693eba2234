"""Deletion: only what is relayed, by age or for space, and never what a paused owner may still answer."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.format import frame
from lapidicom.common.journal.reader import JournalFolder
from lapidicom.receiver.relay.retention import DeletionCandidate, Retention
from tests.support.journal_records import FakePublisher, instance, instance_path, subject
from tests.support.relay_rig import Clock, RelayRig

DAY = 86_400.0
NOW = 100 * DAY
LIFE = "0123456789abcdef" * 2


class Space(FileSystem):
    """A volume of whose space each file takes its size."""

    def __init__(self, folder: Path, capacity: int) -> None:
        self._folder = folder
        self._capacity = capacity
        self.events: list[tuple[str, str]] = []

    def statvfs(self, _: object) -> Any:  # type: ignore[override]
        used = sum(file.stat().st_size for file in self._folder.rglob("*") if file.is_file())
        return SimpleNamespace(f_bavail=self._capacity - used, f_frsize=1)


class Volume:
    """Journals with segments of known ages."""

    def __init__(self, root: Path, capacity: int = 1 << 40) -> None:
        self.root = root
        self.fs = Space(root, capacity)
        self.events: list[tuple[str, dict[str, object]]] = []

    def journal(self, life: str = LIFE, heartbeat_days: float = 0.0, **segments: float) -> Path:
        folder = self.root / "journals/2" / f"receiver-1.{life}"
        folder.mkdir(parents=True)
        for name in ("committed", "cursor", "parent", "claim", "finished", "heartbeat"):
            (folder / name).touch()
        for name, days in segments.items():
            file = folder / name.removeprefix("s").replace("_", ".")
            file.write_bytes(b"x" * 1000)
            os.utime(file, (NOW - days * DAY,) * 2)
        os.utime(folder / "heartbeat", (NOW - heartbeat_days * DAY,) * 2)
        return folder

    def run(self, *journals: tuple[Path, tuple[int, int] | None], min_free: int = 0) -> None:
        Retention(
            self.fs,
            self.root,
            self.root,
            days=7,
            min_free_space=min_free,
            now=lambda: NOW,
            observe=self.observe,
        ).run(
            [
                DeletionCandidate(JournalFolder(self.fs, str(folder), 2), relayed)
                for folder, relayed in journals
            ]
        )

    def observe(self, event: str, /, **fields: object) -> None:
        self.events.append((event, fields))


def left(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if file.name[0] == "0")


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path)


def test_relayed_segments_are_kept_for_some_days(volume: Volume) -> None:
    folder = volume.journal(s00000001_done=8, s00000002_done=6, s00000003_log=9)
    volume.run((folder, None))
    assert left(folder) == ["00000002.done", "00000003.log"]


def test_what_is_not_relayed_is_never_deleted(tmp_path: Path) -> None:
    volume = Volume(tmp_path, capacity=100)
    folder = volume.journal(s00000001_log=100, s00000002_log=100)
    volume.run((folder, None), min_free=1 << 30)
    assert left(folder) == ["00000001.log", "00000002.log"]


def test_for_space_the_oldest_goes_first_and_no_more_than_needed(tmp_path: Path) -> None:
    volume = Volume(tmp_path, capacity=5000)
    first = volume.journal(life="1" * 32, s00000001_done=3, s00000002_done=1)
    second = volume.journal(life="2" * 32, s00000001_done=2, s00000002_log=5)
    volume.run((first, None), (second, None), min_free=2000)  # wanted: 2400 of 5000, 1000 are free
    assert left(first) == ["00000002.done"]
    assert left(second) == ["00000002.log"]


def test_a_finished_journal_goes_with_all_it_has(volume: Volume) -> None:
    folder = volume.journal(heartbeat_days=8, s00000001_done=9, s00000002_log=8)
    incoming = volume.root / "incoming" / folder.name
    incoming.mkdir(parents=True)
    volume.run((folder, (2, 1000)))
    assert not folder.exists()
    assert not incoming.exists()
    assert volume.events[-1][0] == "journal_deleted"


def test_a_journal_whose_heart_beat_lately_keeps_its_folder(volume: Volume) -> None:
    folder = volume.journal(heartbeat_days=6, s00000001_log=8)
    volume.run((folder, (1, 1000)))
    assert left(folder) == []
    assert (folder / "heartbeat").exists()


@pytest.mark.parametrize("relayed", [(1, 999), (1, 1001)])
def test_a_segment_that_has_grown_since_it_was_relayed_stays(
    volume: Volume, relayed: tuple[int, int]
) -> None:
    folder = volume.journal(heartbeat_days=8, s00000001_log=8, s00000002_log=8)
    volume.run((folder, relayed))
    assert left(folder) == ["00000001.log", "00000002.log"]


def test_records_set_aside_are_never_deleted(volume: Volume) -> None:
    folder = volume.journal(heartbeat_days=8, s00000001_log=8, s00000001_aside=100)
    volume.run((folder, (1, 1000)))
    assert left(folder) == ["00000001.aside"]


def test_temporary_files_of_dead_relays_go_with_the_folder(volume: Volume) -> None:
    folder = volume.journal(heartbeat_days=8, s00000001_log=8)
    (folder / ("cursor." + "a" * 32)).touch()
    volume.run((folder, (1, 1000)))
    assert not folder.exists()


def test_a_folder_that_holds_something_unknown_stays(volume: Volume) -> None:
    folder = volume.journal(heartbeat_days=8, s00000001_log=8)
    (folder / "note.txt").touch()
    volume.run((folder, (1, 1000)))
    assert [file.name for file in folder.iterdir()] == ["note.txt"]


def test_what_an_owner_wrote_just_before_its_segment_was_deleted_is_published(tmp_path: Path) -> None:
    """It was believed dead for days, awoke, and answered between our last look and the unlink."""
    folder = tmp_path / ".lapidicom" / "journals/2" / f"receiver-2.{LIFE}"
    folder.mkdir(parents=True)
    segment = folder / "00000001.log"
    segment.write_bytes(frame(1, instance(1)))
    file = tmp_path / instance_path(1)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"0123456789")
    (tmp_path / instance_path(2)).write_bytes(b"0123456789")

    class Late(FileSystem):
        def unlink(self, path: str) -> None:  # type: ignore[override]
            if path == str(segment):
                with segment.open("ab") as opened:
                    opened.write(frame(2, instance(2)))
            Path(path).unlink()

    clock = Clock(segment.stat().st_mtime + 8 * DAY)
    rig = RelayRig(tmp_path, FakePublisher(), clock, file_system=Late())
    rig.work()
    clock.now += 121
    rig.work()
    assert _instances(rig.publisher) == [instance_path(1)]
    rig.retain()
    for _ in range(12):
        rig.work()
    assert _instances(rig.publisher) == [instance_path(1), instance_path(2)]
    rig.end()


def _instances(publisher: Any) -> list[str]:
    return [subject(envelope) for envelope in publisher.stored if envelope.type == "InstanceStored"]
