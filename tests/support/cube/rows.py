"""The contract of `POST pacsfiles/` (v5) row by row: a request, and CUBE's exact answer.

`section` names the part of the description of CUBE's contract that a row is quoted from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any

from tests.support.cube import contract
from tests.support.cube.contract import COLLECTION_JSON, HTML, JSON, Answer

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
    """

    name: str
    section: int
    answer: Answer
    condition: Condition = Condition.PLAIN
    fields: Mapping[str, Any] = field(default_factory=dict)
    raw: bytes | None = None
    method: str = "POST"
    route: str = "pacsfiles/"
    headers: Mapping[str, str | None] = field(default_factory=dict)
    exact: bool = True
    probe_succeeds: bool = True


def _json(status: int, body: str) -> Answer:
    return Answer(status, JSON, body)


def _refused(name: str, body: str, **fields: Any) -> Row:
    """A row of the field rules (section 2): CUBE names the fault; asking again changes nothing."""
    return Row(name, 2, _json(400, body), fields=fields)


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
    Row("a new file", 3, _CREATED, exact=False),
    Row("a date without hyphens", 2, _CREATED, fields={"StudyDate": "20240102"}, exact=False),
    Row("unknown fields", 2, _CREATED, fields={"receiver": "x"}, exact=False),
    Row(
        "absent text and null age and birth date",
        2,
        _CREATED,
        exact=False,
        fields={"PatientName": OMIT, "Modality": "", "PatientAge": None, "PatientBirthDate": None},
    ),
    Row("an age as text", 2, _CREATED, fields={"PatientAge": "12"}, exact=False),
    Row(
        "blanks and slashes around the path",
        3,
        _CREATED,
        fields={"path": f" /{PATH}/ "},
        exact=False,
    ),
    Row("registered before", 3, contract.ALREADY_REGISTERED, Condition.REGISTERED),
    Row(
        "CUBE does not see the file, we do",
        3,
        contract.COULD_NOT_FIND_PATH,
        Condition.VOLUME_GONE,
    ),
    Row(
        "nobody sees the file",
        3,
        contract.COULD_NOT_FIND_PATH,
        Condition.FILE_MISSING,
    ),
    Row("a directory", 3, contract.COULD_NOT_FIND_PATH, Condition.DIRECTORY),
    Row(
        "a path outside of the PACS folder",
        3,
        _json(400, """{"path":["File path must start with 'SERVICES/PACS/'."]}"""),
        fields={"path": "home/chris/1.dcm"},
    ),
    Row(
        "a path of another PACS",
        3,
        _json(400, """{"non_field_errors":["File path must start with 'SERVICES/PACS/Other/'."]}"""),
        fields={"pacs_name": "Other"},
    ),
    Row(
        "a path of 513 characters",
        3,
        _json(500, '{"error":"Internal server error"}'),
        fields={"path": _FULL + "/".join(("a" * 100, "b" * 100, "c" * 100, "d" * 100, "e" * 87))},
    ),
    Row(
        "a path that leaves the storage root",
        3,
        _json(500, '{"error":"Internal server error"}'),
        fields={"path": f"{_FULL}../../../../outside.dcm"},
    ),
    # Section 2: fields
    _refused("a required field is missing", '{"PatientID":["This field is required."]}', PatientID=OMIT),
    _refused("a required field is blank", '{"PatientID":["This field may not be blank."]}', PatientID="  "),
    _refused("a text is null", '{"Modality":["This field may not be null."]}', Modality=None),
    _refused("a text is a list", '{"Modality":["Not a valid string."]}', Modality=["MR"]),
    _refused("a text is a boolean", '{"Modality":["Not a valid string."]}', Modality=True),
    _refused(
        "the PACS' name is too long",
        '{"pacs_name":["Ensure this field has no more than 20 characters."]}',
        pacs_name="P" * 21,
    ),
    _refused(
        "a description is too long",
        '{"SeriesDescription":["Ensure this field has no more than 400 characters."]}',
        SeriesDescription="x" * 401,
    ),
    _refused(
        "a modality is too long",
        '{"Modality":["Ensure this field has no more than 15 characters."]}',
        Modality="M" * 16,
    ),
    _refused("NUL in a text", '{"PatientName":["Null characters are not allowed."]}', PatientName="A\0B"),
    _refused(
        "a lone surrogate",
        '{"PatientName":["Surrogate characters are not allowed: U+DCFF."]}',
        PatientName="A\udcff",
    ),
    *(
        _refused(
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
    _refused(
        "an empty birth date",
        '{"PatientBirthDate":["Date has wrong format. Use one of these formats instead: YYYY-MM-DD."]}',
        PatientBirthDate="",
    ),
    *(
        _refused(f"the age {value!r}", '{"PatientAge":["A valid integer is required."]}', PatientAge=value)
        for value in ("012Y", 12.5, True, "")
    ),
    *(
        _refused(
            f"the sex {value!r}",
            f'{{"PatientSex":["\\"{value}\\" is not a valid choice."]}}',
            PatientSex=value,
        )
        for value in ("f", "U", " ")
    ),
    _refused(
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
        raw=b"",
    ),
    Row(
        "malformed JSON",
        2,
        _json(400, '{"detail":"JSON parse error - Expecting value: line 1 column 1 (char 0)"}'),
        raw=b"x",
    ),
    Row("a JSON list", 2, contract.SERVER_ERROR, raw=b"[]"),
    Row(
        "a form",
        2,
        contract.SERVER_ERROR,
        raw=b"path=x",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    ),
    Row(
        "text",
        2,
        _json(415, '{"detail":"Unsupported media type \\"text/plain\\" in request."}'),
        raw=b"x",
        headers={"Content-Type": "text/plain"},
    ),
    Row(
        "an unknown Accept",
        2,
        Answer(406, COLLECTION_JSON, ""),
        headers={"Accept": "image/png"},
        exact=False,
    ),
    # Section 2: authentication and configuration
    Row(
        "no credentials",
        2,
        _json(401, '{"detail":"Authentication credentials were not provided."}'),
        headers={"Authorization": None},
        probe_succeeds=False,
    ),
    Row(
        "a wrong token",
        2,
        _json(401, '{"detail":"Invalid token."}'),
        headers={"Authorization": "Token 0000"},
        probe_succeeds=False,
    ),
    Row(
        "a token that was valid",
        2,
        _json(401, '{"detail":"Invalid token."}'),
        Condition.TOKENS_INVALID,
        probe_succeeds=False,
    ),
    Row(
        "a wrong password",
        2,
        _json(401, '{"detail":"Invalid username/password."}'),
        headers={"Authorization": "Basic Y2hyaXM6d3Jvbmc="},
        probe_succeeds=False,
    ),
    Row(
        "another user than chris",
        2,
        _json(403, '{"detail":"You do not have permission to perform this action."}'),
        headers={"Authorization": "Basic c29tZWJvZHk6c29tZWJvZHkxMjM0"},
    ),
    Row("a host that is not allowed", 2, contract.HOST_NOT_ALLOWED, headers={"Host": "other"}),
    Row("no such route", 1, contract.NO_SUCH_PAGE, route="pacs/series/"),
    Row("no slash at the end", 2, Answer(301, HTML, ""), route="pacsfiles"),
    *(
        Row(
            f"the method {method}",
            2,
            _json(405, f'{{"detail":"Method \\"{method}\\" not allowed."}}'),
            method=method,
        )
        for method in ("PUT", "PATCH", "DELETE", "OPTIONS")
    ),
    Row(
        "the database is down",
        2,
        contract.SERVER_ERROR,
        Condition.DATABASE_DOWN,
        probe_succeeds=False,
    ),
    # What stands between, and what the contract only names
    Row("a loser of two at once", 3, contract.SERVER_ERROR, Condition.SCRIPTED),
    Row(
        "an error page of the server",
        3,
        Answer(500, HTML, "<h1>Server Error (500)</h1>"),
        Condition.SCRIPTED,
    ),
    *(
        Row(f"a proxy says {status}", 3, Answer(status, HTML, _BAD_GATEWAY), Condition.SCRIPTED)
        for status in (502, 503, 504)
    ),
    Row("a body too large for the proxy", 3, Answer(413, HTML, "<html></html>"), Condition.SCRIPTED),
    Row("an answer that nobody foresaw", 3, Answer(418, "text/plain", "teapot"), Condition.SCRIPTED),
    Row(
        "a page instead of an answer",
        3,
        Answer(200, HTML, "<html>Log in</html>"),
        Condition.SCRIPTED,
    ),
)
