"""The proof: every accepted instance is on disk, byte for byte as sent, and registered exactly once."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from demo.files import data_set_offset
from demo.wire_tap import Exchange

PACS_FOLDER = "SERVICES/PACS"


@dataclass(frozen=True)
class StoredFile:
    """A file below the storage root; `path` is relative to it, `digest` that of its data set."""

    path: str
    digest: bytes

    @property
    def sop_instance_uid(self) -> str:
        """From its name: `<InstanceNumber>-<SOPInstanceUID>.dcm`."""
        return self.path.rsplit("-", 1)[-1].removesuffix(".dcm")


@dataclass
class Verdict:
    """What was found.

    Attributes:
        replaced: accepted instances that a later one of the same UID replaced.
        problems: everything that is not as it must be; empty = proven.
    """

    sent: int = 0
    stored: int = 0
    registered: int = 0
    refused: int = 0
    replaced: int = 0
    problems: list[str] = field(default_factory=list)


def stored_paths(files_root: Path) -> set[str]:
    """The paths of all .dcm files below the storage root's PACS folder."""
    return {str(path.relative_to(files_root)) for path in (files_root / PACS_FOLDER).rglob("*.dcm")}


def files_by_folder(paths: Iterable[str]) -> dict[str, list[str]]:
    """Paths of files by the folder that they are in; none of any other folder."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        found[path.rpartition("/")[0]].append(path)
    return found


def read_stored(files_root: Path, paths: Iterable[str]) -> list[StoredFile]:
    """Read files and digest their data sets; a file without File Meta gets an empty digest."""
    return [StoredFile(path, digest_of(files_root / path)) for path in sorted(paths)]


def digest_of(file: Path) -> bytes:
    """SHA-256 of the data set of a Part 10 file; empty for a file without File Meta."""
    with file.open("rb") as stream:
        head = stream.read(144)
        try:
            offset = data_set_offset(head)
        except ValueError:
            return b""
        stream.seek(offset)
        return hashlib.file_digest(stream, "sha256").digest()


def verify(
    exchanges: Sequence[Exchange],
    stored: Sequence[StoredFile],
    registrations: Mapping[str, int],
    before: frozenset[str] = frozenset(),
) -> Verdict:
    """Compare what was sent with what lies on disk and with what the stand-in counted.

    Args:
        exchanges: what went over the wire, in order.
        stored: all files below the storage root.
        registrations: how often each path was registered.
        before: paths that lay below the root before the demo.
    """
    verdict = Verdict(sent=len(exchanges))
    on_disk: dict[str, list[StoredFile]] = defaultdict(list)
    for file in stored:
        on_disk[file.sop_instance_uid].append(file)
    accepted: dict[str, list[Exchange]] = defaultdict(list)
    for exchange in exchanges:
        if exchange.accepted:
            accepted[exchange.sop_instance_uid].append(exchange)
        else:
            verdict.refused += 1
    for uid, versions in accepted.items():
        _compare(uid, versions, on_disk.get(uid, []), registrations, verdict)
    _look_for_strays(stored, registrations, before, verdict)
    return verdict


def _compare(
    uid: str,
    versions: Sequence[Exchange],
    files: Sequence[StoredFile],
    registrations: Mapping[str, int],
    verdict: Verdict,
) -> None:
    last = next((file for file in files if file.digest == versions[-1].digest), None)
    if last is None:
        fault = "is on disk with other bytes" if files else "is not on disk"
        verdict.problems.append(f"instance {uid} was accepted and {fault}")
        return
    for version in versions:
        file = next((file for file in files if file.digest == version.digest), None)
        if file is None:
            verdict.replaced += 1
            file = last
        verdict.stored += 1
        count = registrations.get(file.path, 0)
        if count == 1:
            verdict.registered += 1
        else:
            verdict.problems.append(f"instance {uid} was registered {count} times")


def _look_for_strays(
    stored: Sequence[StoredFile], registrations: Mapping[str, int], before: frozenset[str], verdict: Verdict
) -> None:
    paths = {file.path for file in stored}
    verdict.problems += [
        f"a file is on disk and not registered: {path}"
        for path in sorted(paths - before - registrations.keys())
    ]
    verdict.problems += [
        f"a path is registered and not on disk: {path}" for path in sorted(registrations.keys() - paths)
    ]
