"""Questions to CUBE about registered files, up to v5: only reading, and no faster than an operator allows.

Two traps of its search shape this module. A page that contains a row whose file is gone is answered 500
as a whole: such a page is halved until the row is alone. And a count is safe only without rows, so it
is asked with an offset behind all of them.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.common.settings import CubeSection
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.generation import Generation
from lapidicom.registrar.cube.http import HttpClient, transport_to_cube
from lapidicom.registrar.cube.replies import Answer, NoAnswer, Reply
from lapidicom.registrar.cube.token import TokenAuth

CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 60.0
"""A search without an index takes long in a large CUBE."""

TRIES: Final = 4
FIRST_PAUSE: Final = 0.5
"""Seconds before the second try; doubled before each further one."""

PAGE: Final = 500
"""Rows of one answer: CUBE looks at each row's file in its storage."""

_BEHIND_ALL: Final = "2000000000"
_TRANSIENT: Final = frozenset({429, 500, 502, 503, 504})


class Rate:
    """Lets requests begin no faster than so many a second.

    Args:
        per_second: 0: as fast as they come.
    """

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second if per_second > 0 else 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for the next turn."""
        now = asyncio.get_running_loop().time()
        wait = self._next - now
        self._next = max(now, self._next) + self._interval
        if wait > 0:
            await asyncio.sleep(wait)


@dataclass(frozen=True, slots=True)
class RegisteredFile:
    """A row of CUBE's.

    Attributes:
        path: relative to CUBE's storage root.
        url: the link to it.
        registered_at: as CUBE tells it.
        series_uid: its SeriesInstanceUID.
    """

    path: str = field(repr=False)
    url: str
    registered_at: str
    series_uid: str


@dataclass(slots=True)
class Listing:
    """What CUBE tells of the files with some property.

    Attributes:
        files: the rows that could be listed, by path.
        unlistable: rows whose file CUBE does not find in its storage: it cannot even name them.
    """

    files: dict[str, RegisteredFile] = field(default_factory=dict)
    unlistable: int = 0


@dataclass(frozen=True)
class Catalogue:
    """CUBE's registered files.

    Attributes:
        cube: the client.
        url: CUBE's API, for error messages.
        rate: of the requests.
    """

    cube: Cube
    url: str
    rate: Rate

    async def check_generation(self) -> None:
        """See that this CUBE registers single files.

        Raises:
            OperatorError: it does not, or does not answer.
        """
        found, reply = await self.cube.generation()
        if found is Generation.PER_FILE:
            return
        if found is Generation.PER_SERIES:
            raise OperatorError(
                f"CUBE at {self.url} registers series (v6 or later)",
                "this command needs unit = series there, which lapidicom does not have yet",
                ExitStatus.UNUSABLE,
            )
        raise self._failure(reply)

    async def count(self, **parameters: str) -> int:
        """How many registered files pass the filters, missing ones too.

        Raises:
            OperatorError: CUBE does not answer.
        """
        body = await self._ask_until_answered({**parameters, "limit": "1", "offset": _BEHIND_ALL})
        count = body.get("count")
        if not isinstance(count, int):
            raise self._strange()
        return count

    async def is_registered(self, path: str) -> bool:
        """Whether exactly this path is registered, whether its file is there or not."""
        return await self.count(fname_exact=path) > 0

    async def list(self, most: int | None = None, **parameters: str) -> Listing:
        """All registered files that pass the filters.

        Args:
            most: rows to list at most; the newest come first.
            parameters: of the search.

        Raises:
            OperatorError: CUBE does not answer.
        """
        listing = Listing()
        offset = 0
        while most is None or offset < most:
            size = PAGE if most is None else min(PAGE, most - offset)
            total = await self._page(parameters, offset, size, listing)
            offset += size
            if offset >= total:
                break
        return listing

    async def _page(self, parameters: Mapping[str, str], offset: int, size: int, listing: Listing) -> int:
        """List a page into the listing, in halves where that must be; returns the count of all rows.

        Newer registrations come first and push rows to later pages: they may come twice, none is missed.
        """
        reply = await self._ask({**parameters, "limit": str(size), "offset": str(offset)})
        if isinstance(reply, Answer) and reply.status == 500:
            total = await self.count(**parameters)  # answers only if CUBE is well
            if size == 1:
                listing.unlistable += 1
                return total
            half = size // 2
            await self._page(parameters, offset, half, listing)
            if offset + half < total:
                await self._page(parameters, offset + half, size - half, listing)
            return total
        body = self._body(reply)
        for row in body.get("results", ()):
            path = str(row["fname"])
            registered_at, series = str(row.get("creation_date", "")), str(row.get("SeriesInstanceUID", ""))
            listing.files[path] = RegisteredFile(path, str(row["url"]), registered_at, series)
        return int(body["count"])

    async def _ask_until_answered(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        return self._body(await self._ask(parameters, may_be_500=False))

    async def _ask(self, parameters: Mapping[str, str], *, may_be_500: bool = True) -> Reply:
        """Ask, and again after a pause where that may help.

        Args:
            parameters: of the search.
            may_be_500: 500 may be the answer to this very question.
        """

        async def ask() -> Reply:
            await self.rate.turn()
            return await self.cube.search(parameters)

        return await _persistently(
            ask, lambda status: status in _TRANSIENT and not (may_be_500 and status == 500)
        )

    def _body(self, reply: Reply) -> dict[str, Any]:
        if not isinstance(reply, Answer) or reply.status != 200:
            raise self._failure(reply)
        try:
            body = json.loads(reply.body)
        except ValueError:
            raise self._strange() from None
        if not isinstance(body, dict) or not isinstance(body.get("count"), int):
            raise self._strange()
        return body

    def _failure(self, reply: Reply) -> OperatorError:
        what = reply.fault.value.replace("_", " ") if isinstance(reply, NoAnswer) else f"HTTP {reply.status}"
        detail = f" ({reply.detail})" if isinstance(reply, NoAnswer) and reply.detail else ""
        return OperatorError(
            f"CUBE at {self.url}: {what}{detail}",
            "check CHRIS_URL, CHRIS_USERNAME, CHRIS_PASSWORD and that CUBE runs",
            ExitStatus.UNUSABLE,
        )

    def _strange(self) -> OperatorError:
        return OperatorError(
            f"CUBE at {self.url} answers a search with something else",
            "check that CHRIS_URL is CUBE's API",
            ExitStatus.UNUSABLE,
        )


async def _persistently(ask: Callable[[], Awaitable[Reply]], again: Callable[[int], bool]) -> Reply:
    for pause in range(TRIES):
        reply = await ask()
        if isinstance(reply, Answer) and not again(reply.status):
            return reply
        if pause < TRIES - 1:
            await asyncio.sleep(FIRST_PAUSE * 2**pause)
    return reply


@asynccontextmanager
async def catalogue(section: CubeSection, rate: float) -> AsyncIterator[Catalogue]:
    """CUBE's registered files, for as long as a command asks.

    Args:
        section: CUBE's address and account.
        rate: requests a second; 0: no limit.
    """
    async with cube_client(section, READ_SECONDS) as cube:
        yield Catalogue(cube, section.cube_url, Rate(rate))


@asynccontextmanager
async def cube_client(section: CubeSection, read_seconds: float) -> AsyncIterator[Cube]:
    """A client that keeps its token: the second question costs CUBE no password check.

    Args:
        section: CUBE's address and account.
        read_seconds: the longest wait for an answer.
    """
    url = section.cube_url
    transport = transport_to_cube(ssl.create_default_context())
    async with HttpClient(transport, connect_seconds=CONNECT_SECONDS, seconds=read_seconds) as http:
        auth = TokenAuth(url, section.cube_username, section.cube_password.get_secret_value())
        yield Cube(http, url, auth)
