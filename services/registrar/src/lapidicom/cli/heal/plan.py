"""From what is seen of a series to the next step of its healing. Pure code.

Nothing is remembered but the healing mark: the links, the folder and CUBE's answers show how far an earlier
run came, so that one that was killed goes on where it was. The order of the rules is the safety:

- nothing is deleted in CUBE before every file of the folder has a link under the spool, and nobody stores;
- no link is removed before every file has its name in the folder again and CUBE has registered them all.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum
from typing import Final

WHOLE: Final = "whole"


class Step(Enum):
    """What is done next; each may be repeated. The values are shown to operators."""

    MARK = "mark the series: receivers refuse its instances, registrars wait"
    WAIT = "wait until all who share the volume see it as it is"
    LINK = "link each file of the folder under the spool"
    DELETE = "delete the series in CUBE, which removes its folder"
    AWAIT_DELETION = "wait until CUBE has deleted it"
    UNREGISTER = "take the files, one by one, out of CUBE's file browser"
    LINK_BACK = "link the files back into their folder"
    REGISTER = "register the series with all files of its folder"
    REMOVE_LINKS = "remove the links under the spool"
    UNMARK = "remove the mark"


@dataclass(frozen=True, slots=True)
class Stop:
    """Why there is no next step.

    Attributes:
        why: in a sentence; empty if the series is healed, or was well.
        remedy: what the operator can do.
        may_undo: whether mark and links may go, as long as each file has its name in the folder.
    """

    why: str = ""
    remedy: str = ""
    may_undo: bool = False


_OPEN: Final = Stop(
    "an association still brings instances of the series", "run it again when it has ended", may_undo=True
)


@dataclass(frozen=True, slots=True)
class Aim:
    """What is to come of a series. Both folders are relative to CUBE's storage root.

    Attributes:
        kept: the folder that CUBE has registered, wholly or by half, and whose files it would remove.
        folder: the one that is to be registered; mostly the same.
    """

    kept: str
    folder: str


@dataclass(frozen=True, slots=True)
class Row:
    """The series in CUBE.

    Attributes:
        id: of its link.
        folder: its folder.
        deletion: `inactive`, `pending` or `failed`; None if this CUBE (before 6.10) cannot delete series.
    """

    id: int
    folder: str
    deletion: str | None

    @property
    def is_pending(self) -> bool:
        """Whether CUBE's worker is about to delete it."""
        return self.deletion == "pending"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a series.

    Attributes:
        is_marked: whether there is a healing mark.
        has_waited: whether this run has waited since somebody else may have changed something.
        is_open: whether an association of a receiver may still bring instances.
        files: inodes of the files in the folder that is kept, by their paths below it.
        links: the same of their links under the spool.
        elsewhere: DICOM files of the folder to be registered, if that is another one.
        row: the series in CUBE, if there is one.
        known: how many files CUBE knows in the folder that is kept.
        registered: how many DICOM files CUBE knows in the folder to be registered.
    """

    is_marked: bool
    has_waited: bool
    is_open: bool
    files: Mapping[str, int]
    links: Mapping[str, int]
    elsewhere: int | None
    row: Row | None
    known: int
    registered: int

    @property
    def count(self) -> int:
        """DICOM files of the folder to be registered, as CUBE counts them once all have their names."""
        if self.elsewhere is not None:
            return self.elsewhere
        return sum(name.endswith(".dcm") for name in self.files.keys() | self.links.keys())

    @property
    def unlinked(self) -> AbstractSet[str]:
        """Files that have no link yet."""
        return self.files.keys() - self.links.keys()

    @property
    def missing(self) -> AbstractSet[str]:
        """Files that have a link under the spool and no name in their folder."""
        return self.links.keys() - self.files.keys()

    def is_whole(self, aim: Aim) -> bool:
        """Whether CUBE has the series as it should."""
        is_there = self.row is not None and self.row.folder == aim.folder and not self.row.is_pending
        return is_there and self.registered == self.count > 0


def condition(seen: Seen, aim: Aim) -> str:
    """What is wrong with the series, in the words of dead letters where they have one."""
    row = seen.row
    if seen.is_marked:
        return "being healed"
    if row is None:
        return "half-registered" if seen.known else "unknown to CUBE"
    if row.is_pending:
        return "deletion-pending"
    if seen.is_whole(aim):
        return WHOLE
    if row.folder != aim.folder:
        return "other-folder"
    return "late-instances" if seen.registered < seen.count else "files-missing"


def next_step(seen: Seen, aim: Aim) -> Step | Stop:
    """The next step of a healing."""
    row = seen.row
    if any(seen.links.get(name, inode) != inode for name, inode in seen.files.items()):
        why = "a file of the folder and the one that is kept for it under the spool are no longer the same"
        return Stop(why, "compare both by hand, remove the one that is wrong, and run it again")
    if row is not None and row.is_pending:
        if not seen.is_marked:
            return Stop("somebody else has ordered its deletion in CUBE", "wait until CUBE has deleted it")
        return Step.LINK if seen.unlinked else Step.AWAIT_DELETION
    if seen.is_whole(aim) and not seen.missing:
        return Step.REMOVE_LINKS if seen.links else Step.UNMARK if seen.is_marked else Stop()
    obstacle = _obstacle(seen, aim)
    if obstacle is not None:
        return obstacle
    if not seen.is_marked:
        return _OPEN if seen.is_open else Step.MARK
    if not seen.has_waited:
        return Step.WAIT
    if row is None and not seen.known:
        return Step.LINK_BACK if seen.missing else Step.REGISTER
    if seen.is_open:
        return _OPEN
    if seen.unlinked:
        return Step.LINK
    if seen.missing:  # a deletion that failed has removed some
        return Step.LINK_BACK
    return Step.DELETE if row is not None else Step.UNREGISTER


def _obstacle(seen: Seen, aim: Aim) -> Stop | None:
    """Why it cannot be healed as it is."""
    row = seen.row
    if row is None:
        if not (seen.is_marked or seen.known):
            return Stop("CUBE does not know the series", "see where it is: lapidicom trace SERIES")
        if not (seen.count or seen.links):
            return Stop("there is no file of it on the volume", "send the series again", may_undo=True)
    elif row.deletion is None:
        return Stop("this CUBE is older than 6.10 and cannot delete a series", "upgrade CUBE", may_undo=True)
    elif row.folder != aim.kept:
        return Stop("CUBE has registered it from another folder meanwhile", "run it again", may_undo=True)
    elif row.folder == aim.folder and seen.registered > seen.count and not seen.links:
        why = "CUBE knows more files of the series than there are on the volume"
        return Stop(why, "send the series again from the PACS", may_undo=True)
    return None
