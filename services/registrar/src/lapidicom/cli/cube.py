"""Questions to CUBE about registered files: only reading, and no faster than an operator allows.

CUBE 6 has the tags in its series, and of a file the path alone: a question about tags is one about the
folders of the series that have them. Two traps of its search shape this module. A page that contains a row
whose file is gone is answered 500 as a whole: such a page is halved until the row is alone. And a count is
safe only without rows, so it is asked with an offset behind all of them.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from lapidicom.cli.errors import OperatorError
from lapidicom.common.settings import CubeSection
from lapidicom.registrar.cube.availability import trouble, trouble_at_root
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.contract import BEHIND_ALL
from lapidicom.registrar.cube.generation import Generation
from lapidicom.registrar.cube.http import HttpClient, transport_to_cube
from lapidicom.registrar.cube.replies import Answer, Reply
from lapidicom.registrar.cube.token import TokenAuth

CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 60.0
"""A search without an index takes long in a large CUBE."""

TRIES: Final = 4
FIRST_PAUSE: Final = 0.5
"""Seconds before the second try; doubled before each further one."""

PAGE: Final = 500
"""Rows of one answer: CUBE looks at each row's file in its storage."""

_TRANSIENT: Final = frozenset({429, 500, 502, 503, 504})
_REMEDY: Final = "check CHRIS_URL, CHRIS_USERNAME, CHRIS_PASSWORD and that CUBE runs"


_Uids = tuple[str, str]
"""Of series and study; empty if the files' rows tell them themselves, or nobody does."""

Search = Callable[[], Awaitable[Reply]]


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
    """A row of CUBE's: path below its storage root, link, when it was registered, the UIDs of its series."""

    path: str = field(repr=False)
    url: str
    registered_at: str
    series_uid: str
    study_uid: str = ""


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
    """CUBE's registered files. Each question raises OperatorError if CUBE does not answer it.

    Attributes:
        cube: the client.
        url: CUBE's API, for error messages.
        rate: of the requests.
        is_of_series: CUBE is v6, which has registered whole series.
    """

    cube: Cube
    url: str
    rate: Rate
    is_of_series: bool = False

    async def of_its_generation(self) -> Self:
        """The same, asking as this CUBE answers."""
        generation, reply = await self.cube.generation()
        if (fault := trouble_at_root(reply)) is not None:
            raise OperatorError(f"CUBE at {self.url}: {fault}", _REMEDY)
        return replace(self, is_of_series=generation is Generation.PER_SERIES)

    async def count(self, **parameters: str) -> int:
        """How many registered files pass the filters, missing ones too."""
        return sum([await self._count(search) for search, _ in await self._searches(parameters)])

    async def is_registered(self, path: str) -> bool:
        """Whether exactly this path is registered, whether its file is there or not."""
        return await self.count(fname_exact=path) > 0

    async def is_series_registered(self, pacs_name: str, uid: str, folder: str, files: int) -> bool:
        """Whether this series is registered from this folder, with at least so many DICOM files (v6)."""
        for search, _ in await self._searches({"pacs_identifier": pacs_name, "SeriesInstanceUID": uid}):
            if search["fname"] == f"{folder}/":
                return await self._count({**search, "fname_icontains": ".dcm"}) >= files
        return False

    async def list(self, most: int | None = None, **parameters: str) -> Listing:
        """All registered files that pass the filters.

        Args:
            most: rows to list at most; the newest come first.
            parameters: of the search.
        """
        listing = Listing()
        for search, uids in await self._searches(parameters):
            offset, total = 0, 1
            while offset < total and (most is None or offset < most):
                size = PAGE if most is None else min(PAGE, most - offset)
                total = await self._page(search, uids, offset, size, listing)
                offset += size
        return listing

    async def _searches(self, parameters: Mapping[str, str]) -> Sequence[tuple[Mapping[str, str], _Uids]]:
        """The searches for files that answer this one, and of which series each is.

        Newer series come first and push others to later pages: by their folders none is searched twice.
        """
        if not self.is_of_series or any(name.startswith("fname") for name in parameters):
            return [(parameters, ("", ""))]
        folders: dict[str, _Uids] = {}
        offset, total = 0, 1
        while offset < total:
            page = {**parameters, "limit": str(PAGE), "offset": str(offset)}
            body = await self._ask(self.cube.search_series, page)
            for row in body["results"]:
                folders[row["folder_path"]] = row["SeriesInstanceUID"], row["StudyInstanceUID"]
            total = body["count"]
            offset += PAGE
        return [({"fname": f"{folder}/"}, uids) for folder, uids in folders.items()]

    async def _count(self, search: Mapping[str, str]) -> int:
        body = await self._ask(self._search_files, {**search, "limit": "1", "offset": BEHIND_ALL})
        return int(body["count"])

    async def _page(
        self, search: Mapping[str, str], uids: _Uids, offset: int, size: int, listing: Listing
    ) -> int:
        """List a page into the listing, in halves where that must be; returns the count of all rows.

        Newer registrations come first and push rows to later pages: they may come twice, none is missed.
        """
        asked = {**search, "limit": str(size), "offset": str(offset)}
        body = await self._ask(self._search_files, asked, may_be_500=True)
        if body:
            for row in body.get("results", ()):
                when, path = row.get("creation_date", ""), row["fname"]
                of = row.get("SeriesInstanceUID", uids[0]), row.get("StudyInstanceUID", uids[1])
                listing.files[path] = RegisteredFile(path, row["url"], when, *of)
            return int(body["count"])
        total = await self._count(search)  # answers only if CUBE is well
        if size == 1:
            listing.unlistable += 1
            return total
        half = size // 2
        await self._page(search, uids, offset, half, listing)
        if offset + half < total:
            await self._page(search, uids, offset + half, size - half, listing)
        return total

    def _search_files(self, parameters: Mapping[str, str]) -> Awaitable[Reply]:
        search = self.cube.search_files_of_series if self.is_of_series else self.cube.search
        return search(parameters)

    async def _ask(
        self,
        search: Callable[[Mapping[str, str]], Awaitable[Reply]],
        parameters: Mapping[str, str],
        *,
        may_be_500: bool = False,
    ) -> dict[str, Any]:
        """See `ask`; in its turn.

        Args:
            search: asks.
            parameters: of the search.
            may_be_500: 500 may be the answer to this very question; it has an empty body here.
        """

        async def in_turn() -> Reply:
            await self.rate.turn()
            return await search(parameters)

        return await ask(in_turn, self.url, may_be_500=may_be_500)


async def ask(search: Search, url: str, *, may_be_500: bool = False) -> dict[str, Any]:
    """The body of CUBE's answer to a search; after a pause CUBE is asked again where that may help.

    Args:
        search: asks.
        url: CUBE's API, for the error message.
        may_be_500: 500 may be the answer to this very question; it has an empty body here.

    Raises:
        OperatorError: CUBE does not answer it.
    """
    for attempt in range(TRIES):
        if attempt:
            await asyncio.sleep(FIRST_PAUSE * 2 ** (attempt - 1))
        match reply := await search():
            case Answer(status=200) if isinstance(reply.fields.get("count"), int):
                return reply.fields
            case Answer(status=500) if may_be_500:
                return {}
            case Answer(status=status) if status not in _TRANSIENT:
                break
    raise unanswered(reply, url)


def unanswered(reply: Reply, url: str) -> OperatorError:
    """What an operator hears of a reply that is no answer to a question."""
    return OperatorError(f"CUBE at {url}: {trouble(reply)}", _REMEDY)


@asynccontextmanager
async def catalogue(section: CubeSection | None, rate: float) -> AsyncIterator[Catalogue]:
    """CUBE's registered files, for as long as a command asks.

    Args:
        section: CUBE's address and account, if they are set.
        rate: requests a second; 0: no limit.

    Raises:
        OperatorError: CUBE is not visible from here, or does not answer.
    """
    if section is None:
        what = "CUBE is not visible from here"
        raise OperatorError(what, "set CHRIS_URL, CHRIS_USERNAME and CHRIS_PASSWORD")
    async with cube_client(section, READ_SECONDS) as cube:
        yield await Catalogue(cube, section.cube_url, Rate(rate)).of_its_generation()


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
