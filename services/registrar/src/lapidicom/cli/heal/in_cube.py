"""What CUBE 6 says of a series, and what it is asked to forget."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from lapidicom.cli.cube import PAGE, ask, unanswered
from lapidicom.cli.errors import OperatorError
from lapidicom.cli.heal.plan import Row
from lapidicom.common.instance.path import hash_of_series
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.contract import BEHIND_ALL, PATH_PREFIX
from lapidicom.registrar.cube.generation import Generation
from lapidicom.registrar.cube.replies import Answer

_FORGOTTEN: Final = frozenset({204, 404})
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
            raise unanswered(reply, self.url)

    async def rows(self, uid: str) -> dict[str, Row]:
        """The series of a SeriesInstanceUID, by the names of its PACS."""
        asked = {"SeriesInstanceUID": uid, "limit": _MOST_PACS}
        found = await ask(partial(self.cube.search_series, asked), self.url)
        return {
            one["pacs_identifier"]: Row(one["id"], one["folder_path"], one.get("deletion_status"))
            for one in found["results"]
            if one["SeriesInstanceUID"] == uid
        }

    async def half_registered(self, uid: str) -> dict[str, str]:
        """The folder of a series whose files CUBE knows without knowing the series, by the name of its PACS.

        Found by the end of its name, which is a hash of the UID unless the name is shortened.
        """
        ends = f"-{hash_of_series(uid)}/"
        found = (await self._files(fname=PATH_PREFIX, fname_icontains=ends, limit="1"))["results"]
        return {one["fname"].split("/")[2]: "/".join(one["fname"].split("/")[:6]) for one in found}

    async def count(self, folder: str, **more: str) -> int:
        """How many files CUBE knows in a folder and below it."""
        return int((await self._files(fname=f"{folder}/", limit="1", offset=BEHIND_ALL, **more))["count"])

    async def forget_files(self, folder: str, advance: Callable[[int], None]) -> None:
        """Let CUBE forget all files that it knows in a folder of no series."""
        while found := (await self._files(fname=f"{folder}/", limit=str(PAGE)))["results"]:
            for one in found:
                reply = await self.cube.forget_file(one["id"])
                if not isinstance(reply, Answer) or reply.status not in _FORGOTTEN:
                    raise unanswered(reply, self.url)
                advance(1)

    async def _files(self, **asked: str) -> dict[str, Any]:
        return await ask(partial(self.cube.search_files_of_series, asked), self.url)
