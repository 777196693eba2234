"""The contract of `POST pacsfiles/` (v5) row by row: a request, CUBE's exact answer, the registrar's outcome.

The stand-in's own suite sends each row's request and compares the answer byte by byte; the table of the
registrar's outcomes takes each row's answer and compares the decision. `section` names the part of the
description of CUBE's contract that a row is quoted from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, Literal

from tests.support.cube import contract
from tests.support.cube.contract import COLLECTION_JSON, HTML, JSON, Answer

OutcomeName = Literal["registered", "already_registered", "retry", "permanent", "outage", "not_yet_visible"]

PATH = "SERVICES/PACS/RowPacs/1-A-19990101/Study-Acc-20240102/00001-Series-abcdef0/0001-1.2.3.dcm"

REGISTRATION: Mapping[str, Any] = MappingProxyType(
    {
        "path": PATH,
        "PatientID": "1",
        "PatientName": "A",
        "PatientBirthDate": "1999-01-01",
        "PatientAge": 9132,
        "PatientSex": "F",
        "StudyDate": "2024-01-02",
        "AccessionNumber": "Acc",
        "Modality": "MR",
        "ProtocolName": "Protocol",
        "StudyInstanceUID": "1.2",
        "StudyDescription": "Study",
        "SeriesInstanceUID": "1.2.4",
        "SeriesDescription": "Series",
        "pacs_name": "RowPacs",
    }
)
"""A body that CUBE registers; rows say what they change of it."""

OMIT = object()
"""As a field's value: the field is left out."""


class Condition(Enum):
    """What is so when the request comes."""

    PLAIN = "the file is in the storage and not registered"
    REGISTERED = "the path is registered"
    FILE_MISSING = "the file is not in the storage"
    DIRECTORY = "the path is a directory"
    VOLUME_GONE = "CUBE's storage shows no file"
    DATABASE_DOWN = "CUBE's database is down"
    TOKENS_INVALID = "the token is not valid any more"
    SCRIPTED = "something between, or a fault that the contract only names, gives this answer"


@dataclass(frozen=True)
class Row:
    """One request under one condition.

    Attributes:
        fields: what differs from REGISTRATION; OMIT leaves a field out.
        raw: the body itself, instead of fields.
        exact: whether the body of the answer is compared whole (it cannot be where it bears ids).
        probe_succeeds: whether an authenticated read right after it succeeds.
        file_present: whether the registrar sees the file on its own mount of the volume.
    """

    name: str
    section: int
    answer: Answer
    outcome: OutcomeName
    condition: Condition = Condition.PLAIN
    fields: Mapping[str, Any] = field(default_factory=dict)
    raw: bytes | None = None
    method: str = "POST"
    route: str = "pacsfiles/"
    headers: Mapping[str, str | None] = field(default_factory=dict)
    exact: bool = True
    probe_succeeds: bool = True
    file_present: bool = True


@dataclass(frozen=True)
class Silence:
    """No answer at all, or not a whole one."""

    name: str
    section: int
    how: Literal["connect_error", "connect_timeout", "read_timeout", "cut_before_answer", "cut_in_answer"]
    probe_succeeds: bool
    outcome: OutcomeName


def _json(status: int, body: str) -> Answer:
    return Answer(status, JSON, body)


def _permanent(name: str, body: str, **fields: Any) -> Row:
    """A row of the field rules (section 2): CUBE names the fault; asking again changes nothing."""
    return Row(name, 2, _json(400, body), "permanent", fields=fields)


_CREATED = Answer(
    201,
    JSON,
    '{"url":"http://localhost/api/v1/pacsfiles/1/","id":1,"creation_date":"2024-01-02T03:04:05+00:00",'
    f'"fname":"{PATH}","fsize":4,"pacs_identifier":"RowPacs"}}',
)
_BAD_GATEWAY = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body></body>\r\n</html>\r\n"
_FULL = "SERVICES/PACS/RowPacs/"

ROWS: tuple[Row, ...] = (
    # Section 3: one file
    Row("a new file", 3, _CREATED, "registered", exact=False),
    Row("a date without hyphens", 2, _CREATED, "registered", fields={"StudyDate": "20240102"}, exact=False),
    Row("unknown fields", 2, _CREATED, "registered", fields={"receiver": "x"}, exact=False),
    Row(
        "absent text and null age and birth date",
        2,
        _CREATED,
        "registered",
        exact=False,
        fields={"PatientName": OMIT, "Modality": "", "PatientAge": None, "PatientBirthDate": None},
    ),
    Row("an age as text", 2, _CREATED, "registered", fields={"PatientAge": "12"}, exact=False),
    Row(
        "blanks and slashes around the path",
        3,
        _CREATED,
        "registered",
        fields={"path": f" /{PATH}/ "},
        exact=False,
    ),
    Row("registered before", 3, contract.ALREADY_REGISTERED, "already_registered", Condition.REGISTERED),
    Row(
        "CUBE does not see the file, we do",
        3,
        contract.COULD_NOT_FIND_PATH,
        "not_yet_visible",
        Condition.VOLUME_GONE,
    ),
    Row(
        "nobody sees the file",
        3,
        contract.COULD_NOT_FIND_PATH,
        "permanent",
        Condition.FILE_MISSING,
        file_present=False,
    ),
    Row("a directory", 3, contract.COULD_NOT_FIND_PATH, "not_yet_visible", Condition.DIRECTORY),
    Row(
        "a path outside of the PACS folder",
        3,
        _json(400, """{"path":["File path must start with 'SERVICES/PACS/'."]}"""),
        "permanent",
        fields={"path": "home/chris/1.dcm"},
    ),
    Row(
        "a path of another PACS",
        3,
        _json(400, """{"non_field_errors":["File path must start with 'SERVICES/PACS/Other/'."]}"""),
        "permanent",
        fields={"pacs_name": "Other"},
    ),
    Row(
        "a path of 513 characters",
        3,
        _json(500, '{"error":"Internal server error"}'),
        "retry",
        fields={"path": _FULL + "/".join(("a" * 100, "b" * 100, "c" * 100, "d" * 100, "e" * 87))},
    ),
    Row(
        "a path that leaves the storage root",
        3,
        _json(500, '{"error":"Internal server error"}'),
        "retry",
        fields={"path": f"{_FULL}../../../../outside.dcm"},
    ),
    # Section 2: fields
    _permanent("a required field is missing", '{"PatientID":["This field is required."]}', PatientID=OMIT),
    _permanent("a required field is blank", '{"PatientID":["This field may not be blank."]}', PatientID="  "),
    _permanent("a text is null", '{"Modality":["This field may not be null."]}', Modality=None),
    _permanent("a text is a list", '{"Modality":["Not a valid string."]}', Modality=["MR"]),
    _permanent("a text is a boolean", '{"Modality":["Not a valid string."]}', Modality=True),
    _permanent(
        "the PACS' name is too long",
        '{"pacs_name":["Ensure this field has no more than 20 characters."]}',
        pacs_name="P" * 21,
    ),
    _permanent(
        "a description is too long",
        '{"SeriesDescription":["Ensure this field has no more than 400 characters."]}',
        SeriesDescription="x" * 401,
    ),
    _permanent(
        "a modality is too long",
        '{"Modality":["Ensure this field has no more than 15 characters."]}',
        Modality="M" * 16,
    ),
    _permanent("NUL in a text", '{"PatientName":["Null characters are not allowed."]}', PatientName="A\0B"),
    _permanent(
        "a lone surrogate",
        '{"PatientName":["Surrogate characters are not allowed: U+DCFF."]}',
        PatientName="A\udcff",
    ),
    *(
        _permanent(
            f"the study date {value!r}",
            '{"StudyDate":["Date has wrong format. Use one of these formats instead: YYYY-MM-DD."]}',
            StudyDate=value,
        )
        for value in (
            "2024/01/02",
            "02.01.2024",
            "2024-02-30",
            "0000-00-00",
            "",
            20240102,
            "2024-01-02T00:00",
        )
    ),
    _permanent(
        "an empty birth date",
        '{"PatientBirthDate":["Date has wrong format. Use one of these formats instead: YYYY-MM-DD."]}',
        PatientBirthDate="",
    ),
    *(
        _permanent(f"the age {value!r}", '{"PatientAge":["A valid integer is required."]}', PatientAge=value)
        for value in ("012Y", 12.5, True, "")
    ),
    *(
        _permanent(
            f"the sex {value!r}",
            f'{{"PatientSex":["\\"{value}\\" is not a valid choice."]}}',
            PatientSex=value,
        )
        for value in ("f", "U", " ")
    ),
    _permanent(
        "several fields fail together",
        '{"PatientID":["This field is required."],"PatientAge":["A valid integer is required."],'
        '"StudyInstanceUID":["This field may not be blank."]}',
        PatientID=OMIT,
        PatientAge="x",
        StudyInstanceUID="",
    ),
    # Section 2: form of the request
    Row(
        "an empty body",
        2,
        _json(
            400,
            '{"path":["This field is required."],"PatientID":["This field is required."],'
            '"StudyDate":["This field is required."],"StudyInstanceUID":["This field is required."],'
            '"SeriesInstanceUID":["This field is required."],"pacs_name":["This field is required."]}',
        ),
        "permanent",
        raw=b"",
    ),
    Row(
        "malformed JSON",
        2,
        _json(400, '{"detail":"JSON parse error - Expecting value: line 1 column 1 (char 0)"}'),
        "permanent",
        raw=b"x",
    ),
    Row("a JSON list", 2, contract.SERVER_ERROR, "retry", raw=b"[]"),
    Row(
        "a form",
        2,
        contract.SERVER_ERROR,
        "retry",
        raw=b"path=x",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    ),
    Row(
        "text",
        2,
        _json(415, '{"detail":"Unsupported media type \\"text/plain\\" in request."}'),
        "outage",
        raw=b"x",
        headers={"Content-Type": "text/plain"},
    ),
    Row(
        "an unknown Accept",
        2,
        Answer(406, COLLECTION_JSON, ""),
        "outage",
        headers={"Accept": "image/png"},
        exact=False,
    ),
    # Section 2: authentication and configuration
    Row(
        "no credentials",
        2,
        _json(401, '{"detail":"Authentication credentials were not provided."}'),
        "outage",
        headers={"Authorization": None},
        probe_succeeds=False,
    ),
    Row(
        "a wrong token",
        2,
        _json(401, '{"detail":"Invalid token."}'),
        "outage",
        headers={"Authorization": "Token 0000"},
        probe_succeeds=False,
    ),
    Row(
        "a token that was valid",
        2,
        _json(401, '{"detail":"Invalid token."}'),
        "outage",
        Condition.TOKENS_INVALID,
        probe_succeeds=False,
    ),
    Row(
        "a wrong password",
        2,
        _json(401, '{"detail":"Invalid username/password."}'),
        "outage",
        headers={"Authorization": "Basic Y2hyaXM6d3Jvbmc="},
        probe_succeeds=False,
    ),
    Row(
        "another user than chris",
        2,
        _json(403, '{"detail":"You do not have permission to perform this action."}'),
        "outage",
        headers={"Authorization": "Basic c29tZWJvZHk6c29tZWJvZHkxMjM0"},
    ),
    Row("a host that is not allowed", 2, contract.HOST_NOT_ALLOWED, "outage", headers={"Host": "other"}),
    Row("no such route", 1, contract.NO_SUCH_PAGE, "outage", route="pacs/series/"),
    Row("no slash at the end", 2, Answer(301, HTML, ""), "outage", route="pacsfiles"),
    *(
        Row(
            f"the method {method}",
            2,
            _json(405, f'{{"detail":"Method \\"{method}\\" not allowed."}}'),
            "outage",
            method=method,
        )
        for method in ("PUT", "PATCH", "DELETE", "OPTIONS")
    ),
    Row(
        "the database is down",
        2,
        contract.SERVER_ERROR,
        "outage",
        Condition.DATABASE_DOWN,
        probe_succeeds=False,
    ),
    # What stands between, and what the contract only names
    Row("a loser of two at once", 3, contract.SERVER_ERROR, "retry", Condition.SCRIPTED),
    Row(
        "an error page of the server",
        3,
        Answer(500, HTML, "<h1>Server Error (500)</h1>"),
        "retry",
        Condition.SCRIPTED,
    ),
    *(
        Row(f"a proxy says {status}", 3, Answer(status, HTML, _BAD_GATEWAY), "outage", Condition.SCRIPTED)
        for status in (502, 503, 504)
    ),
    Row(
        "a body too large for the proxy", 3, Answer(413, HTML, "<html></html>"), "outage", Condition.SCRIPTED
    ),
    Row("an answer that nobody foresaw", 3, Answer(418, "text/plain", "teapot"), "retry", Condition.SCRIPTED),
    Row(
        "a page instead of an answer",
        3,
        Answer(200, HTML, "<html>Log in</html>"),
        "retry",
        Condition.SCRIPTED,
    ),
)

SILENCES: tuple[Silence, ...] = (
    Silence("nobody listens", 3, "connect_error", probe_succeeds=False, outcome="outage"),
    Silence("no connection in time", 3, "connect_timeout", probe_succeeds=False, outcome="outage"),
    Silence("no answer in time, CUBE is away", 3, "read_timeout", probe_succeeds=False, outcome="outage"),
    Silence("no answer in time, CUBE is well", 3, "read_timeout", probe_succeeds=True, outcome="retry"),
    Silence(
        "cut after sending, CUBE is away", 3, "cut_before_answer", probe_succeeds=False, outcome="outage"
    ),
    Silence("cut after sending, CUBE is well", 3, "cut_before_answer", probe_succeeds=True, outcome="retry"),
    Silence("cut within the answer, CUBE is well", 3, "cut_in_answer", probe_succeeds=True, outcome="retry"),
)
