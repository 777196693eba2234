"""The progress files of CUBE up to v5, "Oxidicom Custom Metadata": blank files with telling names. Pure.

    SERVICES/PACS/<space>/<series folder>/<association id>/<key>=<value>

A receiver writes them, and a registrar registers them as files of a PACS that is named as the space. Clients
search for SeriesInstanceUID and ProtocolName, which is the key, and read the value as SeriesDescription.
"""

import posixpath
import re
from dataclasses import dataclass
from typing import Final

from lapidicom.common.headers import Header
from lapidicom.common.instance.path import PACS_ROOT

DEFAULT_SPACE: Final = "org.fnndsc.oxidicom"
"""That of oxidicom, which clients ask for."""

NUMBER_OF_INSTANCES: Final = "NumberOfSeriesRelatedInstances"
"""How many instances the PACS has of the series, or `unknown`."""

PUSH_COUNT: Final = "OxidicomAttemptedPushCount"
"""How many an association has brought; the last file of the series in that association."""

UNKNOWN: Final = "unknown"

_SPACE: Final = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9.-]{1,20}", re.ASCII)
"""A name of a PACS that CUBE takes, and of a folder."""


@dataclass(frozen=True, slots=True)
class ProgressFile:
    """A progress file.

    Attributes:
        space: name of the PACS under which it is registered.
        path: relative to CUBE's storage root. Patient data.
        key: ProtocolName.
        value: SeriesDescription.
    """

    space: str
    path: str
    key: str
    value: str


def is_space(name: Header) -> bool:
    """Whether progress files can stand in a space of this name."""
    return isinstance(name, str) and _SPACE.fullmatch(name) is not None


def progress_file(space: str, folder: str, association_id: str, key: str, value: int | None) -> ProgressFile:
    """The file that says something of a series in an association.

    Args:
        space: name of the space.
        folder: series folder, relative to CUBE's storage root.
        association_id: of the association.
        key: what is told.
        value: null for unknown.

    Raises:
        ValueError: the path would not be one of a file in the space.
    """
    text = UNKNOWN if value is None else str(value)
    path = f"{PACS_ROOT}/{space}/{folder}/{association_id}/{key}={text}"
    if not is_space(space) or posixpath.normpath(path) != path or not folder or "/" in association_id:
        raise ValueError("no path of a progress file")
    return ProgressFile(space, path, key, text)
