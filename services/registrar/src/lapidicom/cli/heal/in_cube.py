"""What CUBE 6 says of a series, and what it is asked to delete."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lapidicom.cli.cube import FIRST_PAUSE, PAGE, REMEDY, TRANSIENT, TRIES
from lapidicom.cli.errors import OperatorError
from lapidicom.cli.heal.plan import Row
from lapidicom.common.instance.path import hash_of_series
from lapidicom.registrar.cube.availability import trouble
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.contract import BEHIND_ALL, PATH_PREFIX
from lapidicom.registrar.cube.generation import Generation
from lapidicom.registrar.cube.replies import Answer, Reply

Search = Callable[[Mapping[str, str]], Awaitable[Reply]]

_GONE: Final = 404
_MOST_PACS: Final = "100"


@dataclass(frozen=True)
class InCube:
    """CUBE's series; each question raises OperatorError if CUBE does not answer it.

    Attributes:
        cube: the client.
        url: CUBE's API, for error messages.
    """

    cube: Cube
    url: str

    async def check_generation(self) -> None:
        """See that this CUBE registers series."""
        generation, reply = await self.cube.generation()
        if generation is Generation.PER_FILE:
            what = f"CUBE at {self.url} registers single files (v5): late ones are registered as others are"
            raise OperatorError(what, "see `lapidicom trace SERIES` and `lapidicom reconcile`")
        if generation is Generation.UNKNOWN:
            raise self._no_answer(reply)

    async def rows(self, series_uid: str) -> dict[str, Row]:
        """The series of a UID, by the names of its PACS."""
        asked = {"SeriesInstanceUID": series_uid, "limit": _MOST_PACS}
        found = (await self._ask(self.cube.search_series, asked))["results"]
        return {
            one["pacs_identifier"]: Row(one["id"], one["folder_path"], one.get("deletion_status"))
            for one in found
            if one["SeriesInstanceUID"] == series_uid
        }

    async def half_registered(self, series_uid: str) -> dict[str, str]:
        """The folder of a series whose files CUBE knows without knowing the series, by the name of its PACS.

        Found by the end of its name, which is a hash of the UID unless the name is shortened.
        """
        asked = {"fname": PATH_PREFIX, "fname_icontains": f"-{hash_of_series(series_uid)}/", "limit": "1"}
        found = (await self._ask(self.cube.search_files_of_series, asked))["results"]
        return {one["fname"].split("/")[2]: "/".join(one["fname"].split("/")[:6]) for one in found}

    async def count(self, folder: str, **more: str) -> int:
        """How many files CUBE knows in a folder and below it."""
        asked = {"fname": f"{folder}/", "limit": "1", "offset": BEHIND_ALL, **more}
        return int((await self._ask(self.cube.search_files_of_series, asked))["count"])

    async def forget_files(self, folder: str, advance: Callable[[int], None]) -> None:
        """Let CUBE forget all files that it knows in a folder of no series."""
        while True:
            asked = {"fname": f"{folder}/", "limit": str(PAGE)}
            found = (await self._ask(self.cube.search_files_of_series, asked))["results"]
            if not found:
                return
            for one in found:
                reply = await self.cube.forget_file(one["id"])
                if not isinstance(reply, Answer) or reply.status not in {204, _GONE}:
                    raise self._no_answer(reply)
                advance(1)

    async def _ask(self, search: Search, parameters: Mapping[str, str]) -> dict[str, Any]:
        """The body of an answer; after a pause CUBE is asked again where that may help."""
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(FIRST_PAUSE * 2 ** (attempt - 1))
            match reply := await search(parameters):
                case Answer(status=200, fields={"count": int(), "results": list()}):
                    return reply.fields
                case Answer(status=status) if status not in TRANSIENT:
                    break
        raise self._no_answer(reply)

    def _no_answer(self, reply: Reply) -> OperatorError:
        return OperatorError(f"CUBE at {self.url}: {trouble(reply)}", REMEDY)
