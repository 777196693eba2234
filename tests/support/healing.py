"""A series that is healed in this process, killed at each of its steps, while instances of it arrive."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx

from lapidicom.cli.heal.find import find, marked_pacs
from lapidicom.cli.heal.hold import Hold
from lapidicom.cli.heal.in_cube import InCube
from lapidicom.cli.heal.plan import Seen, Step, Stop
from lapidicom.cli.heal.run import Healing, HealingPatience
from lapidicom.cli.output import Advance
from lapidicom.common.file_system import FileSystem
from lapidicom.common.open_series import healing_links, is_being_healed, marker_name, markers_folder
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.http import HttpClient
from lapidicom.registrar.cube.token import TokenAuth
from tests.support.cube.accounts import USERS
from tests.support.cube.app import StandInCube
from tests.support.cube.in_process import CubeInProcess
from tests.support.cube.request import API
from tests.support.instances import Instance, instance

PACS = "LATEPACS"
AT_ONCE = HealingPatience(cache=0.0, registration=0.0, poll=0.0, most=5.0)
URL = f"http://localhost{API}"


class Killed(BaseException):
    """Stands for kill -9: nothing more is done in this run."""


class Perils:
    """Counts what changes something, and ends the run before one of these changes.

    Args:
        at: which change is not made any more; from 0.
    """

    def __init__(self, at: int = 1 << 30) -> None:
        self.at = at
        self.seen = 0
        self.before: Callable[[], object] = lambda: None
        self.asked: Callable[[str], object] = lambda _: None

    def step(self) -> None:
        """A change is about to be made, or was just made by others."""
        self.before()
        self.seen += 1
        if self.seen > self.at:
            raise Killed


class PerilousDisk(FileSystem):
    """A file system on which each change may be the last."""

    def __init__(self, perils: Perils) -> None:
        self._perils = perils
        for name in ("mkdir", "rmdir", "link", "unlink", "pwrite"):
            setattr(self, name, self._perilous(getattr(os, name)))
        self.fsync = self._perilous(lambda _: None)  # a killed process loses nothing for want of it

    def _perilous(self, call: Any) -> Any:
        def perilous(*given: Any, **named: Any) -> Any:
            self._perils.step()
            return call(*given, **named)

        return perilous


class PerilousTransport(httpx.ASGITransport):
    """Requests of which each that changes something may be the last, and its answer may never arrive."""

    def __init__(self, app: StandInCube, perils: Perils) -> None:
        super().__init__(app)
        self._perils = perils

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            self._perils.before()
            return await super().handle_async_request(request)
        self._perils.step()
        self._perils.asked(request.method)
        answer = await super().handle_async_request(request)
        self._perils.step()
        return answer


class SeriesToHeal:
    """A series on a volume and in a stand-in, and a receiver that goes on bringing instances of it.

    Attributes:
        stored: sizes of all instances that were answered with success, by their inodes.
        refused: how many were not.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.spool = root / ".lapidicom"
        self.spool.mkdir(parents=True)
        self.app = StandInCube(root, generation=6, second=0.0)
        self.cube = CubeInProcess(self.app)
        self.stored: dict[int, int] = {}
        self.refused = 0
        self.told: list[Step] = []
        self._number = 0
        self.folder = self.next_instance().path(PACS).rpartition("/")[0]
        self.uid = self.next_instance().tags.SeriesInstanceUID or ""

    @property
    def is_marked(self) -> bool:
        """Whether receivers must refuse its instances."""
        return is_being_healed(self.spool, PACS, self.uid)

    def next_instance(self, **changes: Any) -> Instance:
        """The next instance of the series that the receiver would get."""
        return instance(self._number, **changes)

    def arrive(self, **changes: Any) -> bool:
        """An instance comes: marker first, then a look at the mark, as a receiver does it."""
        one = self.next_instance(**changes)
        self._number += 1
        marker = self.spool / markers_folder(PACS, self.uid) / marker_name("life", str(self._number))
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        try:
            if self.is_marked:
                self.refused += 1
                return False
            file = self.root / one.path(PACS)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(one.file)
            self.stored[file.stat().st_ino] = len(one.file)
            return True
        finally:
            marker.unlink()

    def nothing_is_lost(self) -> None:
        """Each stored instance has a name, which is that of its bytes: they are never copied."""
        named = {file.stat().st_ino: file.stat().st_size for file in self.root.rglob("*.dcm")}
        assert self.stored.items() <= named.items()

    def register(self, folder: str = "", **changes: Any) -> int:
        """Register a folder as it is now, as a registrar would; the status."""
        folder = folder or self.folder
        fields = {
            "path": folder,
            "ndicom": len(list((self.root / folder).glob("*.dcm"))),
            "pacs_name": PACS,
            "PatientID": "1",
            "StudyDate": "2024-01-02",
            "StudyInstanceUID": "1.2",
            "SeriesInstanceUID": self.uid,
            **changes,
        }
        body = httpx.Request("POST", URL, json=fields).content
        return self.cube.ask("POST", f"{API}pacs/series/", body).status

    def in_cube(self) -> list[tuple[str, int]]:
        """Folder and number of files of each series that CUBE has."""
        return [(one["path"], one["ndicom"]) for one in self.cube.json("GET", "/_control/registrations")]

    def heal(
        self,
        perils: Perils | None = None,
        folder: str | None = None,
        patience: HealingPatience = AT_ONCE,
        file_system: FileSystem | None = None,
    ) -> Stop:
        """Heal it, in one run.

        Raises:
            Killed: as the perils want it.
        """
        perils = perils or Perils()
        disk = file_system or PerilousDisk(perils)

        async def heal() -> Stop:
            async with self._healing(perils, folder, patience, disk) as healing:
                return await healing.run()

        return asyncio.run(heal())

    def look(self) -> Seen:
        """What a run would see first."""

        async def look() -> Seen:
            async with self._healing(Perils(), None, AT_ONCE, FileSystem()) as healing:
                return await healing.look()

        return asyncio.run(look())

    def open(self) -> Path:
        """The marker of an association that has brought an instance, and goes on."""
        marker = self.spool / markers_folder(PACS, self.uid) / marker_name("life", "open")
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        return marker

    def left_behind(self) -> list[str]:
        """What healing has left in the spool."""
        links = self.spool / healing_links(PACS, self.uid)
        return [str(path) for path in self.spool.rglob("*") if path.is_file() or path == links]

    @asynccontextmanager
    async def _healing(
        self, perils: Perils, folder: str | None, patience: HealingPatience, disk: FileSystem
    ) -> AsyncIterator[Healing]:
        transport = PerilousTransport(self.app, perils)
        async with HttpClient(transport, connect_seconds=5, seconds=60) as http:
            cube = InCube(Cube(http, URL, TokenAuth(URL, "chris", USERS["chris"])), URL)
            pacs, aim = await find(cube, self.uid, None, folder, marked_pacs(self.spool, self.uid))
            hold = Hold(self.root, self.spool, pacs, self.uid, disk)
            aim = hold.aim() or aim
            assert aim is not None
            yield Healing(hold, aim, cube, patience, _no_progress, self.told.append)


@contextmanager
def _no_progress(_what: str, _total: int | None) -> Iterator[Advance]:
    yield lambda _: None
