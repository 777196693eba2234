"""CUBE's contract row by row: a request, and CUBE's exact answer, for one generation or for both.

`section` names the part of the description of CUBE's contract that a row is quoted from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from tests.support.cube import contract
from tests.support.cube.contract import COLLECTION_JSON, HTML, JSON, Answer

FOLDER = "SERVICES/PACS/RowPacs/1-A-19990101/Study-Acc-20240102/00001-Series-abcdef0"
PATH = f"{FOLDER}/0001-1.2.3.dcm"
OTHER = f"{FOLDER}/0002-1.2.4.dcm"

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
"""A body that CUBE v5 registers; rows say what they change of it."""

SERIES: Mapping[str, Any] = MappingProxyType({**REGISTRATION, "path": FOLDER, "ndicom": 1})
"""A body that CUBE v6 registers."""

OMIT = object()
"""As a field's value: the field is left out."""


class Condition(Enum):
    """What is so when the request comes."""

    PLAIN = "the file is in the storage and not registered"
    REGISTERED = "file or series are registered"
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
        generations: those that give this answer.
        fields: what differs from REGISTRATION or SERIES; OMIT leaves a field out.
        raw: the body itself, instead of fields.
        exact: whether the body of the answer is compared whole (it cannot be where it bears ids).
        probe_succeeds: whether an authenticated read right after it succeeds.
        stand_in_only: the request would harm a real CUBE, or needs more of it than one has.
    """

    name: str
    section: int
    answer: Answer
    condition: Condition = Condition.PLAIN
    generations: tuple[int, ...] = (5, 6)
    fields: Mapping[str, Any] = field(default_factory=dict)
    raw: bytes | None = None
    method: str = "POST"
    route: str = ""
    """Empty: that of registrations."""
    headers: Mapping[str, str | None] = field(default_factory=dict)
    exact: bool = True
    probe_succeeds: bool = True
    stand_in_only: bool = False


def _json(status: int, body: str) -> Answer:
    return Answer(status, JSON, body)


def _v5(name: str, section: int, answer: Answer, condition: Condition = Condition.PLAIN, **more: Any) -> Row:
    return Row(name, section, answer, condition, (5,), **more)


def _v6(name: str, answer: Answer, condition: Condition = Condition.PLAIN, **more: Any) -> Row:
    return Row(name, 4, answer, condition, (6,), **more)


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
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_FULL = "SERVICES/PACS/RowPacs/"

ROWS: tuple[Row, ...] = (
    Row("a new file or series", 3, _CREATED, exact=False),
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
    # Section 3: one file
    _v5("blanks and slashes around the path", 3, _CREATED, fields={"path": f" /{PATH}/ "}, exact=False),
    _v5("registered before", 3, contract.ALREADY_REGISTERED, Condition.REGISTERED),
    _v5("CUBE does not see the file, we do", 3, contract.COULD_NOT_FIND_PATH, Condition.VOLUME_GONE),
    _v5("nobody sees the file", 3, contract.COULD_NOT_FIND_PATH, Condition.FILE_MISSING),
    _v5("a directory", 3, contract.COULD_NOT_FIND_PATH, Condition.DIRECTORY),
    _v5(
        "a path outside of the PACS folder",
        3,
        _json(400, """{"path":["File path must start with 'SERVICES/PACS/'."]}"""),
        fields={"path": "home/chris/1.dcm"},
    ),
    _v5(
        "a path of another PACS",
        3,
        _json(400, """{"non_field_errors":["File path must start with 'SERVICES/PACS/Other/'."]}"""),
        fields={"pacs_name": "Other"},
    ),
    _v5(
        "a path of 513 characters",
        3,
        contract.SERVER_ERROR,
        fields={"path": _FULL + "/".join(("a" * 100, "b" * 100, "c" * 100, "d" * 100, "e" * 87))},
    ),
    _v5(
        "a path that leaves the storage root",
        3,
        contract.SERVER_ERROR,
        fields={"path": f"{_FULL}../../../../outside.dcm"},
        stand_in_only=True,
    ),
    # Section 4: one series
    _v6("blanks and slashes around the folder", _CREATED, fields={"path": f" /{FOLDER}/ "}, exact=False),
    *(_v6(f"the count {value!r}", _CREATED, fields={"ndicom": value}, exact=False) for value in ("1", 1.0)),
    _v6("a single file as folder", _CREATED, fields={"path": PATH}, exact=False, stand_in_only=True),
    _v6(
        "registered before",
        _json(400, '["A DICOM series with SeriesInstanceUID=1.2.4 already registered for pacs RowPacs"]'),
        Condition.REGISTERED,
    ),
    _v6(
        "a folder with a comma",
        _json(400, f"""{{"path":["Invalid path '{_FULL}a,b'. Cannot contain commas."]}}"""),
        fields={"path": f"{_FULL}a,b"},
    ),
    *(
        _v6(
            f"the PACS' name {value}",
            _json(
                400, f"""{{"pacs_name":["Invalid PACS name '{value}'. Cannot contain commas or slashes."]}}"""
            ),
            fields={"pacs_name": value},
        )
        for value in ("Row,Pacs", "Row/Pacs")
    ),
    _v6(
        "a folder outside of the PACS folder",
        _json(400, """{"path":["This field must start with 'SERVICES/PACS/'."]}"""),
        fields={"path": "home/chris"},
    ),
    *(
        _v6(
            name,
            _json(
                400, f"""{{"non_field_errors":["The path field must start with 'SERVICES/PACS/{pacs}/'."]}}"""
            ),
            fields=changed,
        )
        for name, pacs, changed in (
            ("a folder of another PACS", "Other", {"pacs_name": "Other"}),
            ("the PACS folder itself", "RowPacs", {"path": _FULL}),
        )
    ),
    _v6(
        "a folder of 1025 characters",
        _json(400, '{"path":["Ensure this field has no more than 1024 characters."]}'),
        fields={"path": _FULL + "/".join(["f" * 250] * 4)[: 1025 - len(_FULL)]},
    ),
    *(
        _v6(
            f"the count {value!r}",
            _json(400, f'{{"ndicom":["This field must be a postive integer. Got {value}."]}}'),
            fields={"ndicom": value},
        )
        for value in (0, -1)
    ),
    *(
        _v6(
            f"the count {value!r}",
            _json(400, '{"ndicom":["A valid integer is required."]}'),
            fields={"ndicom": value},
        )
        for value in ("x", 1.5, True, "")
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
    *(
        Row(
            f"an empty body {raw!r}",
            2,
            _json(
                400,
                f'{{"path":["This field is required."],{more}"PatientID":["This field is required."],'
                '"StudyDate":["This field is required."],"StudyInstanceUID":["This field is required."],'
                '"SeriesInstanceUID":["This field is required."],"pacs_name":["This field is required."]}',
            ),
            generations=generations,
            raw=raw,
        )
        for raw in (b"", b"{}")
        for generations, more in (((5,), ""), ((6,), '"ndicom":["This field is required."],'))
    ),
    Row(
        "malformed JSON",
        2,
        _json(400, '{"detail":"JSON parse error - Expecting value: line 1 column 1 (char 0)"}'),
        raw=b"x",
    ),
    _v5("a JSON list", 2, contract.SERVER_ERROR, raw=b"[]"),
    _v5("JSON's null", 2, contract.SERVER_ERROR, raw=b"null"),
    _v5("a form", 2, contract.SERVER_ERROR, raw=b"path=x", headers=_FORM),
    _v6(
        "a JSON list",
        _json(400, '{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}'),
        raw=b"[]",
    ),
    _v6("JSON's null", _json(400, '{"non_field_errors":["No data provided"]}'), raw=b"null"),
    _v6("a form", _CREATED, raw=urlencode(SERIES).encode(), headers=_FORM, exact=False),
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
        stand_in_only=True,
    ),
    Row("a host that is not allowed", 2, contract.HOST_NOT_ALLOWED, headers={"Host": "other"}),
    _v5("the route of v6", 1, contract.NO_SUCH_PAGE, route="pacs/series/"),
    _v6("the route of v5", contract.NO_SUCH_PAGE, route="pacsfiles/"),
    _v6(
        "the route of v6 for single files",
        _json(405, '{"detail":"Method \\"POST\\" not allowed."}'),
        route="pacs/files/",
    ),
    _v5("no slash at the end", 2, Answer(301, HTML, ""), route="pacsfiles"),
    _v6("no slash at the end", Answer(301, HTML, ""), route="pacs/series"),
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
