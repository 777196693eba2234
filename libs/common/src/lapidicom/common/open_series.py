"""Which series are open, and which are being healed: what receiver, registrar and `heal` ask of the spool.

    <spool>/open/<pacs>/<SeriesInstanceUID>/<life>.<association>    an open marker: an empty file
    <spool>/healing/<pacs>/<SeriesInstanceUID>                      the mark of a series that is being healed
    <spool>/healing-links/<pacs>/<SeriesInstanceUID>/               second names of its files meanwhile

A receiver makes its marker before the first success for a series in an association, and removes it behind the
end record. A marker is never renewed and never expires: whoever finishes the life of its listener removes it.
So a series without a marker has brought all that its associations have to bring. Registrars take a series
that is being healed for open. On a network file system an answer is as old as a directory is cached there.
"""

import os
import re
from typing import Final

from lapidicom.common.file_system import FileSystem

OPEN: Final = "open"
"""Folder of all open markers, below the spool: a folder for each PACS, in that one for each series."""

HEALING: Final = "healing"
"""Folder of the marks of series that are being healed, below the spool: a folder for each PACS."""

HEALING_LINKS: Final = "healing-links"
"""Folder of the links that `heal` keeps of files: a folder for each PACS, in that one for each series."""

BEING_HEALED: Final = "the series is being healed"
"""Why a receiver refuses an instance of such a series (0xA700): what its record says, and `status` reads."""

_SAFE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


def markers_folder(pacs_name: str, series_instance_uid: str) -> str:
    """Folder of a series' open markers, relative to the spool; need not exist.

    Args:
        pacs_name: the sanitised calling AE title.
        series_instance_uid: a UID as `tags.is_uid` takes it: one of dots alone is escaped.

    Raises:
        ValueError: one of the two cannot be a file name.
    """
    return f"{OPEN}/{_name(pacs_name)}/{_name(series_instance_uid)}"


def marker_name(life: str, association_id: str) -> str:
    """Name of the marker of an association of a listener's life, in the folder of its series."""
    return f"{life}.{association_id}"


def life_of(marker: str) -> str:
    """The life in a marker's name."""
    return marker.partition(".")[0]


def healing_mark(pacs_name: str, series_instance_uid: str) -> str:
    """The mark of a series that is being healed, relative to the spool; arguments as of `markers_folder`."""
    return f"{HEALING}/{_name(pacs_name)}/{_name(series_instance_uid)}"


def healing_links(pacs_name: str, series_instance_uid: str) -> str:
    """The folder of the links to the files of such a series, relative to the spool; arguments likewise."""
    return f"{HEALING_LINKS}/{_name(pacs_name)}/{_name(series_instance_uid)}"


def is_open(
    spool: str | os.PathLike[str],
    pacs_name: str,
    series_instance_uid: str,
    file_system: FileSystem | None = None,
) -> bool:
    """Whether any association of any receiver may still bring instances of a series.

    Raises:
        OSError: the spool cannot be read. That a folder is missing means no marker.
        ValueError: as of `markers_folder`.
    """
    folder = f"{os.fspath(spool)}/{markers_folder(pacs_name, series_instance_uid)}"
    try:
        return bool((file_system or FileSystem()).listdir(folder))
    except FileNotFoundError:
        return False


def is_being_healed(
    spool: str | os.PathLike[str] | int,
    pacs_name: str,
    series_instance_uid: str,
    file_system: FileSystem | None = None,
) -> bool:
    """Whether `lapidicom heal` works on a series, so that nothing may be stored in it or registered of it.

    Args:
        spool: its path, or a descriptor of it.
        pacs_name: of the series.
        series_instance_uid: likewise.
        file_system: the system calls.

    Raises:
        OSError, ValueError: as `is_open`.
    """
    mark, fs = healing_mark(pacs_name, series_instance_uid), file_system or FileSystem()
    try:
        if isinstance(spool, int):
            fs.stat(mark, dir_fd=spool)
        else:
            fs.stat(f"{os.fspath(spool)}/{mark}")
    except FileNotFoundError:
        return False
    return True


def count_files(folder: str | os.PathLike[str], file_system: FileSystem | None = None) -> int:
    """How many instances a series folder holds: files whose names end in `.dcm`, as CUBE counts them.

    Raises:
        OSError: it cannot be read; FileNotFoundError if it is not there.
    """
    names = (file_system or FileSystem()).listdir(folder)
    return sum(name.endswith(".dcm") for name in names)


def _name(value: str) -> str:
    """A value as a file name. UIDs of dots alone are out there; the character in front is in no UID."""
    if _SAFE.fullmatch(value) is None:
        raise ValueError("not a sanitised AE title or a UID")
    return value if value.strip(".") else f"_{value}"
