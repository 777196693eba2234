"""What CUBE answers, as data: the rules of the fields and the fixed answers, seen on v5.2.0 and v6.11.0.

The sections named are those of the description of CUBE's contract: 1 generations, 2 common rules,
3 `POST pacsfiles/` of v5, 4 `POST pacs/series/` of v6.
"""

from dataclasses import dataclass
from enum import Enum

JSON = "application/json"
COLLECTION_JSON = "application/vnd.collection+json"
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """A response: status, content type, exact body, and headers beyond these."""

    status: int
    content_type: str
    body: str
    headers: tuple[tuple[str, str], ...] = ()


class Kind(Enum):
    """How the text of a field is read."""

    TEXT = "text"
    DATE = "date"
    INTEGER = "integer"
    SEX = "sex"


@dataclass(frozen=True)
class Field:
    """One field of a registration (section 2): lengths in characters."""

    name: str
    required: bool = False
    kind: Kind = Kind.TEXT
    longest: int | None = None
    nullable: bool = False


_TAGS = (
    Field("PatientID", required=True, longest=100),
    Field("PatientName", longest=150),
    Field("PatientBirthDate", kind=Kind.DATE, nullable=True),
    Field("PatientAge", kind=Kind.INTEGER, nullable=True),
    Field("PatientSex", kind=Kind.SEX),
    Field("StudyDate", required=True, kind=Kind.DATE),
    Field("AccessionNumber", longest=100),
    Field("Modality", longest=15),
    Field("ProtocolName", longest=64),
    Field("StudyInstanceUID", required=True, longest=100),
    Field("StudyDescription", longest=400),
    Field("SeriesInstanceUID", required=True, longest=100),
    Field("SeriesDescription", longest=400),
    Field("pacs_name", required=True, longest=20),
)
FIELDS = (Field("path", required=True), *_TAGS)
"""Of `POST pacsfiles/` (v5)."""

SERIES_FIELDS = (
    Field("path", required=True, longest=1024),
    Field("ndicom", required=True, kind=Kind.INTEGER),
    *_TAGS,
)
"""Of `POST pacs/series/` (v6)."""

LINKS = {
    "chrisinstance": "chrisinstance/1/",
    "public_feeds": "publicfeeds/",
    "compute_resources": "computeresources/",
    "plugin_metas": "plugins/metas/",
    "plugins": "plugins/",
    "plugin_instances": "plugins/instances/",
    "pipelines": "pipelines/",
    "workflows": "pipelines/workflows/",
    "tags": "tags/",
    "pipelinesourcefiles": "pipelines/sourcefiles/",
    "filebrowser": "filebrowser/",
}
"""Of the API's home without a login, in every generation."""

LINKS_V5 = {
    "files": "files/",
    "pipeline_instances": "pipelines/instances/",
    "uploadedfiles": "uploadedfiles/",
    "pacsfiles": "pacsfiles/",
    "servicefiles": "servicefiles/",
}
LINKS_V6 = {
    "userfiles": "userfiles/",
    "pacs": "pacs/",
    "pacsqueries": "pacs/queries/",
    "pacsfiles": "pacs/files/",
    "pacsseries": "pacs/series/",
}

LONGEST_PATH = 512
"""Characters; a longer path is a 500, not a 400 (section 3)."""

LONGEST_SERIES_FILE = 1024
"""Characters of the path of a series' file; a longer one is a 500 (section 4)."""

SEXES = ("M", "F", "O")

REQUIRED = "This field is required."
BLANK = "This field may not be blank."
NULL = "This field may not be null."
NOT_A_STRING = "Not a valid string."
TOO_LONG = "Ensure this field has no more than {} characters."
NULL_CHARACTERS = "Null characters are not allowed."
SURROGATES = "Surrogate characters are not allowed: U+{:X}."
WRONG_DATE = "Date has wrong format. Use one of these formats instead: YYYY-MM-DD."
WRONG_INTEGER = "A valid integer is required."
TOO_LARGE = "Ensure this value is less than or equal to 2147483647."
TOO_SMALL = "Ensure this value is greater than or equal to -2147483648."
WRONG_CHOICE = '"{}" is not a valid choice.'
PATH_PREFIX = "File path must start with 'SERVICES/PACS/'."
PATH_OF_PACS = "File path must start with 'SERVICES/PACS/{}/'."
NOT_FOUND = "Could not find this path."
DUPLICATE = "File has already been registered."
PACS_EXISTS = "pacs with this identifier already exists."

NO_COMMAS = "Invalid path '{}'. Cannot contain commas."
SERIES_PATH_PREFIX = "This field must start with 'SERVICES/PACS/'."
SERIES_PATH_OF_PACS = "The path field must start with 'SERVICES/PACS/{}/'."
NO_PACS_NAME = "Invalid PACS name '{}'. Cannot contain commas or slashes."
NOT_POSITIVE = "This field must be a postive integer. Got {}."
"""Spelt so by CUBE."""

OTHER_COUNT = "The number of DICOM files found under {}({}) was different from the ndicom({}) field"
DUPLICATE_SERIES = "A DICOM series with SeriesInstanceUID={} already registered for pacs {}"
NOT_A_DICTIONARY = "Invalid data. Expected a dictionary, but got {}."

NO_DATA = "No data provided"

_CHALLENGE = (("WWW-Authenticate", "Token"),)


def detail(status: int, text: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An error of the framework: `{"detail": ...}`."""
    return Answer(status, JSON, f'{{"detail":"{text}"}}', headers)


ALREADY_REGISTERED = Answer(400, JSON, '{"path":["File has already been registered."]}')
PACS_ALREADY_EXISTS = Answer(400, JSON, '{"pacs_name":["pacs with this identifier already exists."]}')
COULD_NOT_FIND_PATH = Answer(400, JSON, '{"path":["Could not find this path."]}')
NO_CREDENTIALS = detail(401, "Authentication credentials were not provided.", _CHALLENGE)
WRONG_PASSWORD = detail(401, "Invalid username/password.", _CHALLENGE)
INVALID_TOKEN = detail(401, "Invalid token.", _CHALLENGE)
FORBIDDEN = detail(403, "You do not have permission to perform this action.")
CANNOT_LOG_IN = Answer(400, JSON, '{"non_field_errors":["Unable to log in with provided credentials."]}')
NO_SUCH_FILE = detail(404, "Not found.")
NOT_ACCEPTABLE = detail(406, "Could not satisfy the request Accept header.")
SERVER_ERROR = Answer(500, JSON, '{"error":"Internal server error"}')


def _page(status: int, title: str, text: str) -> Answer:
    """A page of Django's for an error that the framework has not seen."""
    head = f'<html lang="en">\n<head>\n  <title>{title}</title>\n</head>'
    return Answer(
        status,
        HTML,
        f"\n<!doctype html>\n{head}\n<body>\n  <h1>{title}</h1><p>{text}</p>\n</body>\n</html>\n",
    )


HOST_NOT_ALLOWED = _page(400, "Bad Request (400)", "")
NO_SUCH_PAGE = _page(404, "Not Found", "The requested resource was not found on this server.")


def no_such(model: str) -> Answer:
    """404 of a route of v6 whose number nothing has."""
    return detail(404, f"No {model} matches the given query.")


def method_not_allowed(method: str) -> Answer:
    """405 (section 2)."""
    return detail(405, f'Method \\"{method}\\" not allowed.')


def unsupported_media_type(content_type: str) -> Answer:
    """415 (section 2)."""
    return detail(415, f'Unsupported media type \\"{content_type}\\" in request.')
