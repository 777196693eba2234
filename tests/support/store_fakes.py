"""In-memory stand-ins for what a C-STORE SCP uses: volume, temporary files, journal and log."""

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from lapidicom.common.journal.records import Record, parse
from lapidicom.common.open_series import BEING_HEALED, markers_folder
from lapidicom.receiver.association.series import AssociationInfo
from lapidicom.receiver.errors import OutOfResources, SeriesBeingHealed
from lapidicom.receiver.storage.fixed_folders import SeriesIdentity
from lapidicom.receiver.storage.refusals import Refusals
from lapidicom.receiver.storage.volume import Fault
from lapidicom.receiver.upper_layer.presentation_context import ContextResult, ContextResultCode
from tests.support.instances import Instance

ASSOCIATION = AssociationInfo("a-1", "PACS 1", "ChRIS", "PACS_1", "127.0.0.1:4242", "receiver-1")


def context_for(one: Instance, context_id: int = 1) -> ContextResult:
    """The accepted presentation context of an instance."""
    return ContextResult(context_id, ContextResultCode.ACCEPTANCE, one.transfer_syntax, one.sop_class)


@dataclass
class FakeFolder:
    """An open series folder."""

    path: str


@dataclass
class FakeFolders:
    """Makes folders, or fails."""

    failure: Exception | None = None
    made: list[str] = field(default_factory=list)
    fixed: dict[SeriesIdentity, str] = field(default_factory=dict)
    count_of: int | None = 7

    def get(self, identity: SeriesIdentity, wanted: str) -> FakeFolder:
        """Return the folder that was wanted first."""
        if self.failure is not None:
            raise self.failure
        path = self.fixed.setdefault(identity, wanted)
        self.made.append(path)
        return FakeFolder(path)

    def count(self, path: str) -> int | None:
        """A number of files."""
        del path
        return self.count_of


class FakeMarker:
    """A marker of a fake."""

    def __init__(self, path: str, markers: "FakeMarkers") -> None:
        self.path = path
        self.name = posixpath.basename(path)
        self._markers = markers

    def sync(self) -> None:
        """Make it durable."""
        self._markers.store.happened("sync_marker")
        self._markers.durable.add(self.path)


class FakeMarkers:
    """Open markers by their paths.

    Attributes:
        healing: SeriesInstanceUIDs of series that are being healed.
    """

    def __init__(self, store: "FakeInstanceStore") -> None:
        self.store = store
        self.present: set[str] = set()
        self.durable: set[str] = set()
        self.healing: set[str] = set()

    def make(self, pacs_name: str, series_instance_uid: str, name: str) -> FakeMarker:
        """Make one, unless the series is being healed."""
        self.store.happened("mark")
        if series_instance_uid in self.healing:
            raise SeriesBeingHealed(BEING_HEALED)
        marker = FakeMarker(f"{markers_folder(pacs_name, series_instance_uid)}/{name}", self)
        self.present.add(marker.path)
        return marker

    def left_by(self, pacs_name: str, name: str) -> list[str]:
        """All of a name."""
        return sorted(
            one for one in self.present if one.startswith(f"open/{pacs_name}/") and one.endswith(name)
        )

    def remove(self, paths: Iterable[str]) -> None:
        """Remove some."""
        for path in paths:
            self.present.discard(path)
            self.durable.discard(path)


@dataclass
class FakeVolume:
    """The volume's state."""

    fault: Fault | None = None
    hang: Fault | None = None

    @property
    def obstacle(self) -> Fault | None:
        """Either."""
        return self.fault or self.hang


class FakeFile:
    """A temporary file."""

    def __init__(self, store: "FakeInstanceStore") -> None:
        self._store = store
        self.content = bytearray()
        self.writes: list[int] = []
        self.discarded = self.closed = False
        self.is_fresh = True

    @property
    def size(self) -> int:
        """Bytes so far."""
        return len(self.content)

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Append, or fail as the real one does: discarded, then refused."""
        self._store.happened("write")
        if self._store.write_fails_after is not None and self.size >= self._store.write_fails_after:
            self.discard()
            raise OutOfResources("volume not writable (ENOSPC)")
        self.writes.append(len(chunks))
        self.content += b"".join(chunks)

    def place(self, folder: FakeFolder, name: str) -> tuple[FakeFolder, str]:
        """Give it its name."""
        self._store.happened("place")
        path = f"{folder.path}/{name}"
        placed = "replaced" if path in self._store.files else "new"
        self._store.files[path] = bytes(self.content)
        return folder, placed

    def close(self) -> None:
        """Close it."""
        self._store.happened("close")
        self.closed = True

    def discard(self) -> None:
        """Drop it."""
        self.discarded = self.closed = True


class FakeInstanceStore:
    """Places instances in a dictionary.

    Attributes:
        files: what was placed, by path.
        calls: the names of the calls, in order; a fake journal may share the list.
        failures: what a call of a name raises instead.
    """

    def __init__(self) -> None:
        self.volume = FakeVolume()
        self.refusals = Refusals()
        self.folders = FakeFolders()
        self.markers = FakeMarkers(self)
        self.files: dict[str, bytes] = {}
        self.temporary: list[FakeFile] = []
        self.calls: list[str] = []
        self.failures: dict[str, Exception] = {}
        self.write_fails_after: int | None = None

    def new_file(self) -> FakeFile:
        """Make a temporary file."""
        self.happened("new_file")
        file = FakeFile(self)
        self.temporary.append(file)
        return file

    def sync_folder(self, folder: FakeFolder) -> None:  # noqa: ARG002 -- as the real one
        """Note it."""
        self.happened("sync_folder")

    def happened(self, call: str) -> None:
        """Note a call, and fail it if it shall."""
        self.calls.append(call)
        if call in self.failures:
            raise self.failures[call]


@dataclass
class FakeEntry:
    """What was appended."""

    records: list[Record]
    starts: Record | None
    settled: bool = False


class FakeJournal:
    """Keeps records in a list."""

    def __init__(self, store: FakeInstanceStore) -> None:
        self._store = store
        self.entries: list[FakeEntry] = []
        self.quiet: list[Record] = []
        self.ended: list[Any] = []
        self.waiting_ends: list[Any] = []
        self.life = "0" * 32

    def append(self, records: Sequence[bytes], *, series: Any, starts: bytes | None) -> FakeEntry:
        """Take an instance's record."""
        assert series is not None
        self._store.happened("append")
        entry = FakeEntry([parsed(body) for body in records], None if starts is None else parsed(starts))
        self.entries.append(entry)
        return entry

    def wait(self, entry: FakeEntry) -> None:
        """Be durable, or fail."""
        assert not entry.settled
        self._store.happened("wait")

    def settle(self, entry: FakeEntry) -> None:
        """Let the mark pass."""
        self._store.happened("settle")
        entry.settled = True

    def append_quietly(self, records: Sequence[bytes], *, series: Any = None) -> None:
        """Take what nobody waits for and what promises nothing."""
        del series
        self.quiet += [parsed(body) for body in records]

    def end(self, records: Sequence[bytes], series: Sequence[Any], on_durable: Any = lambda: None) -> None:
        """Take the ends of series; they are durable once `commit_ends` is called."""
        self.quiet += [parsed(body) for body in records]
        self.ended += series
        self.waiting_ends.append(on_durable)

    def commit_ends(self) -> None:
        """Make the ends of series durable."""
        for on_durable in self.waiting_ends:
            on_durable()
        self.waiting_ends.clear()


def parsed(record: bytes) -> Record:
    """A record as a reader sees it."""
    return parse(b"0\t" + record)


class FakeLog:
    """Keeps events with their fields."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def bind(self, **_: object) -> Self:
        """Stay the same."""
        return self

    def is_enabled_for(self, _: int) -> bool:
        """Every level is of interest."""
        return True

    def info(self, event: str, **fields: Any) -> None:
        """Keep it."""
        self.events.append((event, fields))

    debug = warning = error = exception = info

    def fields(self, event: str) -> list[dict[str, Any]]:
        """What the lines of an event said."""
        return [fields for name, fields in self.events if name == event]
