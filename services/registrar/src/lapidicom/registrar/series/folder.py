"""Looks at a series on our mount: its markers, then its folder. Blocks as long as the file system does."""

import os
from pathlib import Path

from lapidicom.common.open_series import healing_mark, markers_folder
from lapidicom.registrar.cube.volume import ABSENT
from lapidicom.registrar.series.settling import Look


def look(files_root: Path, spool: Path, pacs_name: str, uid: str, folder: str) -> Look:
    """Look at a series: first at its markers, so that all files of associations that have ended are seen.

    DICOM files are counted as CUBE v6 counts them: `*.dcm`, also in folders below the series' own.

    Args:
        files_root: our mount of CUBE's storage root.
        spool: the receivers' spool on it.
        pacs_name: of the series.
        uid: its SeriesInstanceUID.
        folder: its folder, relative to `files_root`; none are in a folder that is not there.

    Raises:
        OSError: the volume does not answer.
        ValueError: PACS name or UID are none.
    """
    markers = spool / markers_folder(pacs_name, uid)
    touched = 0
    is_open = _is_there(spool / healing_mark(pacs_name, uid))
    try:
        is_open = any(True for _ in markers.iterdir()) or is_open
        touched = markers.stat().st_mtime_ns
    except OSError as error:
        if error.errno not in ABSENT:
            raise
    count = 0
    waiting = [files_root / folder]
    while waiting:
        path = waiting.pop()
        try:
            touched = max(touched, path.stat().st_mtime_ns)
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_dir():
                        waiting.append(Path(entry.path))
                    elif entry.name.endswith(".dcm") and entry.is_file():
                        count += 1
        except OSError as error:
            if error.errno not in ABSENT:
                raise
    return Look(count, touched, is_open)


def _is_there(mark: Path) -> bool:
    try:
        mark.stat()
    except OSError as error:
        if error.errno not in ABSENT:
            raise
        return False
    return True
