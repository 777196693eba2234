"""One HTTP request of the stand-in, and how its body is read (section 2 of CUBE's contract)."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from tests.support.cube import contract
from tests.support.cube.contract import COLLECTION_JSON, JSON, Answer

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

API = "/api/v1/"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class RequestRefused(Exception):
    """The request ends here with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass
class Request:
    """One HTTP request, read whole."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[bytes, bytes]
    body: bytes

    def header(self, name: str) -> str:
        """A header's value, empty when absent; `name` in lower case."""
        return self.headers.get(name.encode(), b"").decode("latin-1")

    @property
    def media_type(self) -> str:
        """Of the body, without parameters."""
        return self.header("content-type").split(";")[0].strip().lower()

    @property
    def base(self) -> str:
        """The URL of the API as the client sees it."""
        return f"http://{self.header('host')}{API}"


async def read_request(scope: Scope, receive: Receive) -> Request:
    """Read a request whole."""
    return Request(
        scope["method"],
        scope["path"],
        dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True)),
        dict(scope["headers"]),
        await _read(receive),
    )


def json_answer(value: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An answer in the framework's compact JSON."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return Answer(status, JSON, text.encode("utf-8", "backslashreplace").decode(), headers)


def json_object(request: Request) -> dict[str, Any]:
    """The body as an object; anything else ends the request."""
    if request.media_type in FORMS:
        raise RequestRefused(contract.SERVER_ERROR)
    if not request.body:
        return {}
    value = json_value(request)
    if not isinstance(value, dict):
        raise RequestRefused(contract.SERVER_ERROR)
    return value


def json_value(request: Request) -> Any:
    """The body, whatever JSON it is; anything else ends the request."""
    if request.media_type not in (JSON, COLLECTION_JSON):
        raise RequestRefused(contract.unsupported_media_type(request.header("content-type")))
    try:
        value = json.loads(request.body)
    except ValueError as error:
        raise RequestRefused(json_answer({"detail": f"JSON parse error - {error}"}, 400)) from None
    if request.media_type == COLLECTION_JSON and isinstance(value, dict):
        data = value.get("template", {}).get("data", [])
        return {item["name"]: item["value"] for item in data}
    return value


async def _read(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
