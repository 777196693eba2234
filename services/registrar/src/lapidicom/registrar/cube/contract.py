"""CUBE's contract for PACS files (v5) and series (v6): routes, limits and the exact texts that matter.

Observed at CUBE v5.2.0 and v6.11.0; lengths are in characters.
"""

import re
from typing import Final

ACCEPT: Final = "application/json"
"""Exactly this: with anything else some errors come in another format."""

AUTH_TOKEN: Final = "auth-token/"  # noqa: S105 (a route)
PACS_FILES: Final = "pacsfiles/"
PACS_FILES_SEARCH: Final = "pacsfiles/search/"
"""Ignores parameters that it does not know: then it gives everything."""

PACS_SERIES: Final = "pacs/series/"
PACS_SERIES_SEARCH: Final = "pacs/series/search/"
FILES_OF_SERIES_SEARCH: Final = "pacs/files/search/"
"""Filters by path only: SeriesInstanceUID and the PACS are ignored."""

FILES_IN_BROWSER: Final = "filebrowser/files/"
"""Files by the ids of the search above. A DELETE there forgets a file; v6.11 leaves its bytes."""

BEHIND_ALL: Final = "2000000000"
"""An offset behind all rows: the count of a search for files is safe without rows only, since one row whose
file is gone makes its page a 500."""

PROBE: Final = "chrisinstance/1/"
"""An authenticated read that touches the database: the API's root answers 200 without one."""

NO_FIELDS: Final = b"{}"
"""Body of a registration that CUBE refuses with 400, behind its look whether the user may register."""

PATH_LIMIT: Final = 512
"""Longer paths are answered 500."""

FOLDER_LIMIT: Final = 1024
"""Of a series' folder; a file in it whose path is longer makes the registration a 500."""

PATH_PREFIX: Final = "SERVICES/PACS/"

IDENTITY_LIMITS: Final = {
    "PatientID": 100,
    "StudyInstanceUID": 100,
    "SeriesInstanceUID": 100,
    "pacs_name": 20,
}
"""Required and never altered; StudyDate is the other one."""

TEXT_LIMITS: Final = {
    "PatientName": 150,
    "AccessionNumber": 100,
    "Modality": 15,
    "ProtocolName": 64,
    "StudyDescription": 400,
    "SeriesDescription": 400,
}
"""Optional descriptive text."""

FIELDS: Final = frozenset(
    {
        "path",
        "ndicom",
        "StudyDate",
        "PatientBirthDate",
        "PatientAge",
        "PatientSex",
        "non_field_errors",
        *IDENTITY_LIMITS,
        *TEXT_LIMITS,
    }
)
"""What a refusal (400) of CUBE's can name: a 400 without any of them is not CUBE's."""

SEXES: Final = frozenset({"M", "F", "O"})
AGES: Final = range(-(2**31), 2**31)

ALREADY_REGISTERED: Final = "File has already been registered."
PACS_EXISTS: Final = "pacs with this identifier already exists."
"""At `pacs_name`: another request created this PACS between CUBE's own look and its check."""

DUPLICATE_SERIES: Final = "A DICOM series with SeriesInstanceUID={} already registered for pacs {}"
OTHER_COUNT: Final = re.compile(
    r"The number of DICOM files found under .*\([0-9]+\) was different from the ndicom\([0-9]+\) field",
    re.DOTALL,
)

PATH_NOT_FOUND: Final = "Could not find this path."

MOST_OF_AN_ANSWER: Final = 1 << 20
"""Bytes. An answer to all but a search is a few KiB: what is longer does not come from CUBE."""

MOST_OF_A_SEARCH: Final = 16 << 20
"""Bytes. A row is a few KiB, and a page has as many as are asked for."""
