"""Finds the series that is meant, and what is to come of it."""

import posixpath
from pathlib import Path

from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.heal.in_cube import InCube
from lapidicom.cli.heal.plan import Aim
from lapidicom.common.instance.path import PACS_ROOT
from lapidicom.common.open_series import HEALING, healing_mark


def marked_pacs(spool: Path, uid: str) -> set[str]:
    """The PACS of which a series of that UID is being healed."""
    return {mark.parent.name for mark in (spool / HEALING).glob(f"*/{uid}")}


async def find(
    cube: InCube, uid: str, pacs: str | None, folder: str | None, marked: set[str]
) -> tuple[str, Aim | None]:
    """The PACS of a series, and what is to come of it; no aim where CUBE knows nothing of it.

    Args:
        cube: asked for the series.
        uid: SeriesInstanceUID.
        pacs: of the series, where several have one of that UID.
        folder: to be registered, where it is not the one that CUBE has.
        marked: PACS of which such a series is being healed.

    Raises:
        OperatorError: several PACS have one, or the folder is none of a series.
    """
    known = {name: row.folder for name, row in (await cube.rows(uid)).items()}
    if not known:
        known = await cube.half_registered(uid)
    if folder is not None and not _is_folder(folder):
        raise OperatorError("--folder is no folder of a series", f"give it as {PACS_ROOT}/PACS/...")
    given = pacs or (folder.split("/")[2] if folder else None)
    names = {given} if given else marked or known.keys()
    if len(names) > 1:
        raise OperatorError(f"several PACS have sent {uid}: {', '.join(sorted(names))}", "give --pacs")
    if not names:
        what = f"CUBE knows nothing of series {uid}"
        raise OperatorError(what, f"see lapidicom trace {uid}; or give --folder", ExitStatus.FAILED)
    (name,) = names
    try:
        healing_mark(name, uid)
    except ValueError:
        raise OperatorError("--pacs is no name of a PACS", f"give it as in {PACS_ROOT}") from None
    kept = known.get(name, folder)
    return name, Aim(kept, folder or kept) if kept and _is_folder(kept) else None


def _is_folder(path: str) -> bool:
    """Whether a path is that of a folder of a series: nothing else must ever be touched."""
    return posixpath.normpath(path) == path and path.startswith(f"{PACS_ROOT}/") and path.count("/") == 5
