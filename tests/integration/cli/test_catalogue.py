"""Questions to the stand-in CUBE: the traps of its search are avoided, and faults are named in one line."""

import asyncio
import base64
import http.client
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from pydantic import SecretStr

from lapidicom.cli import cube as asking
from lapidicom.cli.cube import Catalogue, Listing
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.common.settings import CubeSection
from lapidicom.registrar.cube.mending import Request, request
from tests.support.cube.process import CubeProcess
from tests.support.healing import PACS, URL, SeriesToHeal
from tests.support.stored import instance_stored, store

T = TypeVar("T")

COUNT = 12


@pytest.fixture
def paths(cube: CubeProcess) -> list[str]:
    """Registered files of one series."""
    messages = [store(cube.root, instance_stored(number)) for number in range(1, COUNT + 1)]
    for message in messages:
        made = request(message)
        assert isinstance(made, Request)
        connection = http.client.HTTPConnection("127.0.0.1", cube.port, timeout=10)
        login = base64.b64encode(f"{cube.username}:{cube.password}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
        connection.request("POST", "/api/v1/pacsfiles/", made.body, headers | {"Accept": "application/json"})
        assert connection.getresponse().status == 201
        connection.close()
    return [message.path for message in messages]


def ask(cube: CubeProcess, question: Callable[[Catalogue], Awaitable[T]], *, url: str = "") -> T:
    section = CubeSection(
        cube_url=url or cube.url, cube_username=cube.username, cube_password=SecretStr(cube.password)
    )

    async def run() -> T:
        async with asking.cube_client(section, asking.READ_SECONDS) as client:
            return await question(Catalogue(client, section.cube_url, asking.Rate(0)))

    return asyncio.run(run())


def of_series(paths: list[str]) -> Callable[[Catalogue], Awaitable[Listing]]:
    return lambda known: known.list(fname=f"{paths[0].rpartition('/')[0]}/")


def test_all_rows_are_listed_over_several_pages_with_their_links(
    cube: CubeProcess, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "PAGE", 5)
    listing = ask(cube, of_series(paths))
    assert (sorted(listing.files), listing.unlistable) == (paths, 0)
    assert listing.files[paths[0]].url == f"{cube.url}pacsfiles/1/"


@pytest.mark.parametrize("gone", [[0], [11], [3, 4, 9], list(range(COUNT))])
def test_rows_whose_files_are_gone_are_counted_and_hide_no_other(
    cube: CubeProcess, paths: list[str], gone: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "PAGE", 8)
    for number in gone:
        (cube.root / paths[number]).unlink()
    listing = ask(cube, of_series(paths))
    assert listing.unlistable == len(gone)
    assert set(listing.files) == set(paths) - {paths[number] for number in gone}
    assert ask(cube, lambda known: known.count(pacs_identifier="ORTHANC")) == COUNT
    assert ask(cube, lambda known: known.is_registered(paths[gone[0]]))
    assert not ask(cube, lambda known: known.is_registered(f"{paths[0]}x"))


def test_a_fault_that_passes_is_not_told(
    cube: CubeProcess, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "FIRST_PAUSE", 0.01)
    cube.control.fail(503, method="GET", count=2)
    assert ask(cube, lambda known: known.count()) == len(paths)


def test_a_database_that_is_down_is_no_page_with_a_missing_file(
    cube: CubeProcess, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "FIRST_PAUSE", 0.01)
    cube.control.fail(500, method="GET", path_contains="")
    with pytest.raises(OperatorError, match="is the database running") as caught:
        ask(cube, of_series(paths))
    assert caught.value.status is ExitStatus.UNUSABLE


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/api/v1/", ""])
def test_who_is_no_cube_is_told_in_one_line(
    cube: CubeProcess, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "FIRST_PAUSE", 0.01)
    cube.control.fail(200, "<html>", content_type="text/html", method="GET")
    for question in (lambda known: known.count(), lambda known: known.of_its_generation()):
        with pytest.raises(OperatorError) as caught:
            ask(cube, question, url=url)
        assert cube.password not in caught.value.line


def test_of_cube_6_files_are_found_by_the_series_that_has_their_tags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "PAGE", 2)
    monkeypatch.setattr(asking, "transport_to_cube", lambda _: httpx.ASGITransport(series.app))
    series = SeriesToHeal(tmp_path / "root")
    for _ in range(3):
        assert series.arrive()
    assert series.register() == 201
    paths = sorted(str(path.relative_to(series.root)) for path in series.root.glob(f"{series.folder}/*"))
    section = CubeSection(cube_url=URL, cube_username="chris", cube_password=SecretStr("chris1234"))

    async def run() -> None:
        async with asking.catalogue(section, 0) as known:
            listing = await known.list(SeriesInstanceUID=series.uid)
            assert sorted(listing.files) == paths
            assert listing.files[paths[0]].series_uid == series.uid
            study = listing.files[paths[0]].study_uid
            assert sorted((await known.list(StudyInstanceUID=study)).files) == paths
            assert not (await known.list(SeriesInstanceUID=f"{series.uid}.1")).files
            assert await known.count(pacs_identifier=PACS, SeriesInstanceUID=series.uid) == 3
            assert await known.count(pacs_identifier="OTHER", SeriesInstanceUID=series.uid) == 0
            assert await known.is_registered(paths[0])
            assert not await known.is_registered(f"{paths[0]}x")
            (series.root / paths[1]).unlink()
            listing = await known.list(SeriesInstanceUID=series.uid)
            assert (sorted(listing.files), listing.unlistable) == ([paths[0], paths[2]], 1)

    asyncio.run(run())


def test_questions_keep_their_pace() -> None:
    async def run() -> float:
        rate = asking.Rate(200)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for _ in range(11):
            await rate.turn()
        return loop.time() - begun

    assert asyncio.run(run()) >= 0.05
