"""Asks the stand-in without a network: one request after the other, or several at one time."""

import asyncio
import json
from collections.abc import MutableMapping, Sequence
from typing import Any, NamedTuple

from tests.support.cube.accounts import Accounts
from tests.support.cube.app import StandInCube
from tests.support.cube.rows import OMIT, REGISTRATION

TOKEN = Accounts().token("chris")
PACS_FILES = "/api/v1/pacsfiles/"


class Answered(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    text: str


def body_of(**fields: Any) -> bytes:
    """The body of a registration that differs in these fields from REGISTRATION."""
    values = {**REGISTRATION, **fields}
    return json.dumps({name: value for name, value in values.items() if value is not OMIT}).encode()


class CubeInProcess:
    """A client of the application.

    Args:
        app: the stand-in.
    """

    def __init__(self, app: StandInCube) -> None:
        self.app = app

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str | None] | None = None,
        query: str = "",
    ) -> Answered:
        """Send a request; a header that is None is left out."""
        return asyncio.run(self._ask(method, path, body, headers, query))

    def json(self, method: str, path: str, **options: Any) -> Any:
        """The JSON body of the answer."""
        return json.loads(self.ask(method, path, **options).text)

    def control(self, name: str, **options: Any) -> None:
        """Throw a switch."""
        assert self.ask("POST", f"/_control/{name}", json.dumps(options).encode()).status == 200

    def register(self, **fields: Any) -> int:
        """The status of a registration."""
        return self.ask("POST", PACS_FILES, body_of(**fields)).status

    def ask_together(self, *requests: tuple[str, str, bytes]) -> Sequence[Answered]:
        """The answers to requests that come at one time: method, path, body."""

        async def together() -> list[Answered]:
            return await asyncio.gather(*(self._ask(*one) for one in requests))

        return asyncio.run(together())

    def register_together(self, *changes: dict[str, Any]) -> Sequence[Answered]:
        """The answers to registrations that come at one time."""

        return self.ask_together(*(("POST", PACS_FILES, body_of(**one)) for one in changes))

    async def _ask(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: dict[str, str | None] | None = None,
        query: str = "",
    ) -> Answered:
        wanted: dict[str, str | None] = {
            "Host": "localhost",
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Authorization": f"Token {TOKEN}",
            **(headers or {}),
        }
        scope: MutableMapping[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(k.lower().encode(), v.encode()) for k, v in wanted.items() if v is not None],
        }
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        head = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
        return Answered(sent[0]["status"], head, b"".join(part["body"] for part in sent[1:]).decode())
