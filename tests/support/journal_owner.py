"""A listener's journal in a temporary folder, for tests of those who read it."""

from pathlib import Path

from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.format import FOLDERS, FORMAT
from lapidicom.common.journal.records import SeriesKey
from lapidicom.receiver.journal.writer import Journal
from tests.support.journal_records import ended, instance, instance_path, key, series_folder, started


class Owner:
    """A listener's journal, and the files of its instances."""

    def __init__(
        self, root: Path, *, parent: str = "supervisor-1", limit: int = 64 << 20, receiver: str = "receiver-1"
    ) -> None:
        self.root = root
        spool = root / ".lapidicom"
        spool.mkdir(exist_ok=True)
        self.journal = Journal.open(
            spool,
            receiver,
            fsync=False,
            heartbeat=1000,
            takeover=4000,
            file_system=FileSystem(),
            segment_limit=limit,
            parent=parent,
        )
        self.folder = spool / FOLDERS[FORMAT] / self.journal.folder
        self.name = self.journal.folder
        self.life = self.journal.life

    def store(self, *numbers: int, series: int = 1, first: bool = False) -> None:
        """Store instances; the first of them opens its series if `first`."""
        for number in numbers:
            self.write_file(number, series)
            self.append(
                instance(number, series=series),
                series=key(series=series),
                starts=started(series=series) if first and number == numbers[0] else None,
            )

    def append(self, record: bytes, *, series: SeriesKey | None = None, starts: bytes | None = None) -> None:
        """Append the record of an instance that is answered, so that the mark passes it."""
        self.journal.settle(self.journal.append([record], series=series, starts=starts))

    def write_file(self, number: int, series: int = 1) -> None:
        """Put the file of an instance on the volume."""
        path = self.root / instance_path(number, series)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0123456789")

    def end_series(self, received: int, series: int = 1) -> None:
        """Write the end record of a series."""
        self.journal.end([ended(received, series=series)], [key(series=series)])

    def beat(self) -> None:
        """Let the heart beat."""
        self.journal._group.beat()

    @property
    def segments(self) -> list[Path]:
        """Its segments, relayed ones too."""
        return sorted(file for file in self.folder.iterdir() if file.suffix in (".log", ".done"))

    def lose_mark(self) -> None:
        """As after a power cut: the mark was never synced."""
        (self.folder / "committed").write_bytes(b"")


def paths(*numbers: int, series: int = 1) -> list[str]:
    """The paths of instances."""
    return [instance_path(number, series) for number in numbers]


def received(count: int, how: str = "ok", series: int = 1) -> str:
    """The subject of the message that ends a series."""
    return f"{series_folder(series)} {count} {how}"
