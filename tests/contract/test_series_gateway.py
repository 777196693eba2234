"""The registrar's gateway for series, on a CUBE of generation v6."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from lapidicom.common.messages import SeriesSettling
from lapidicom.registrar.cube.availability import DATABASE, WRONG_USER
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.http import HttpClient
from lapidicom.registrar.cube.mending import Request, series_request
from lapidicom.registrar.cube.outcomes import Outcome, Verdict
from lapidicom.registrar.cube.probe import trouble_with_series
from lapidicom.registrar.cube.series_outcomes import SeriesKey
from lapidicom.registrar.cube.token import TokenAuth
from lapidicom.registrar.series.folder import look
from lapidicom.registrar.series.gateway import SeriesGateway
from lapidicom.registrar.series.settling import Look
from lapidicom.registrar.series.settling_messages import series_of
from tests.support.cube.rows import FOLDER
from tests.support.cube.under_test import CubeUnderTest

pytestmark = pytest.mark.generation(6)

MakeGateway = Callable[[], SeriesGateway]

STUDY = FOLDER.rpartition("/")[0]


def received(cube: CubeUnderTest, folder: str = FOLDER, uid: str = "1.2.4") -> SeriesSettling:
    return SeriesSettling(
        pacs_name=cube.pacs,
        StudyInstanceUID="1.2",
        SeriesInstanceUID=uid,
        PatientID="1",
        StudyDate="20240102",
        PatientAge=9132,
        association_id="a",
        calling_ae_title=cube.pacs,
        called_ae_title="CHRIS",
        peer_address="127.0.0.1:1",
        receiver="r",
        folder=cube.ours(folder),
    )


async def registered(
    cube: CubeUnderTest, gateway: SeriesGateway, client: Cube, message: SeriesSettling, ndicom: int
) -> Verdict:
    """Register a series that had settled with so many files."""
    prepared = series_request(message, ndicom)
    assert isinstance(prepared, Request)
    settled = replace(seen_of(cube, series_of(message)), count=ndicom)
    return await gateway.register(client, prepared, series_of(message), settled)


def seen_of(cube: CubeUnderTest, series: SeriesKey) -> Look:
    return look(cube.root, cube.root / ".lapidicom", series.pacs_name, series.uid, series.folder)


def run(
    cube: CubeUnderTest,
    act: Callable[[Cube, MakeGateway], Awaitable[list[Verdict]]],
    see: Callable[[str], int] | None = None,
) -> list[tuple[Outcome, str]]:
    """Act with a client, and gateways of registrars; `see` says how many files these see in a folder."""

    async def look_at(series: SeriesKey) -> Look:
        seen = seen_of(cube, series)
        return replace(seen, count=see(series.folder)) if see else seen

    async def with_client() -> list[Verdict]:
        async with HttpClient(cube.transport(), connect_seconds=5, seconds=60) as http:
            client = Cube(http, cube.url, TokenAuth(cube.url, "chris", cube.password))

            async def trouble() -> str | None:
                return await trouble_with_series(client)

            return await act(client, lambda: SeriesGateway(trouble, look_at))

    return [(verdict.outcome, verdict.reason) for verdict in asyncio.run(with_client())]


def register(cube: CubeUnderTest, ndicom: int = 1, folder: str = FOLDER) -> tuple[Outcome, str]:
    async def act(client: Cube, gateway: MakeGateway) -> list[Verdict]:
        return [await registered(cube, gateway(), client, received(cube, folder), ndicom)]

    return run(cube, act)[0]


def test_a_series_is_registered_once(cube: CubeUnderTest) -> None:
    cube.write(f"{FOLDER}/2.dcm")
    assert register(cube, 2) == (Outcome.REGISTERED, "http_201")
    assert register(cube, 2) == (Outcome.ALREADY_REGISTERED, "already_registered")
    assert cube.search("pacs/series")["count"] == 1


def test_a_late_instance_is_no_success(cube: CubeUnderTest) -> None:
    assert register(cube)[0] is Outcome.REGISTERED
    cube.write(f"{FOLDER}/late.dcm")
    assert register(cube, 2) == (Outcome.PERMANENT, "late-instances")


def test_a_series_that_is_registered_from_another_folder_is_no_success(cube: CubeUnderTest) -> None:
    assert register(cube)[0] is Outcome.REGISTERED
    cube.write(f"{STUDY}/other/1.dcm")
    assert register(cube, folder=f"{STUDY}/other") == (Outcome.PERMANENT, "other-folder")


def test_a_count_that_is_old_is_not_sent_to_cube(switches: CubeUnderTest) -> None:
    switches.write(f"{FOLDER}/2.dcm")
    assert register(switches, 1) == (Outcome.NOT_YET_VISIBLE, "count-differs")
    assert switches.stand_in is not None
    assert switches.stand_in.json("GET", "/_control/requests")["attempts"] == {}


@pytest.mark.parametrize("seen", [1, 3])
def test_a_count_that_differs_from_cubes_spends_no_attempt(cube: CubeUnderTest, seen: int) -> None:
    cube.write(f"{FOLDER}/2.dcm")

    async def act(client: Cube, gateway: MakeGateway) -> list[Verdict]:
        return [await registered(cube, gateway(), client, received(cube), seen)]

    assert run(cube, act, lambda _: seen) == [(Outcome.NOT_YET_VISIBLE, "count-differs")]
    assert register(cube, 2)[0] is Outcome.REGISTERED


def _many(cube: CubeUnderTest, patients: int, studies: int) -> list[SeriesSettling]:
    messages = []
    for patient in range(patients):
        for study in range(studies):
            folder = f"SERVICES/PACS/RowPacs/{patient}-A/{study}/series"
            cube.write(f"{folder}/1.dcm")
            messages.append(received(cube, folder, f"1.3.{patient}.{study}"))
    return messages


def test_first_contacts_of_one_registrar_do_not_meet(cube: CubeUnderTest) -> None:
    messages = _many(cube, 3, 2)

    async def act(client: Cube, gateway: MakeGateway) -> list[Verdict]:
        one = gateway()
        return await asyncio.gather(*(registered(cube, one, client, message, 1) for message in messages))

    assert run(cube, act) == [(Outcome.REGISTERED, "http_201")] * len(messages)
    assert cube.search("pacs/series")["count"] == len(messages)


def test_first_contacts_of_several_registrars_end_in_one_registration_each(cube: CubeUnderTest) -> None:
    messages = _many(cube, 2, 2)

    async def act(client: Cube, gateway: MakeGateway) -> list[Verdict]:
        await asyncio.gather(*(registered(cube, gateway(), client, message, 1) for message in messages))
        return [await registered(cube, gateway(), client, message, 1) for message in messages]

    assert {outcome for outcome, _ in run(cube, act)} <= {Outcome.REGISTERED, Outcome.ALREADY_REGISTERED}
    assert cube.search("pacs/series")["count"] == len(messages)


def test_a_series_whose_deletion_is_pending_waits(switches: CubeUnderTest) -> None:
    assert register(switches)[0] is Outcome.REGISTERED
    switches.throw("worker-stopped")
    (series,) = switches.search("pacs/series")["results"]
    switches.ask("DELETE", f"pacs/series/{series['id']}/")
    assert register(switches) == (Outcome.HELD_UP, "deletion-pending")


def test_a_half_registered_series_spends_attempts(switches: CubeUnderTest) -> None:
    switches.throw("break-off")
    assert register(switches) == (Outcome.RETRY, "half-registered")
    assert register(switches) == (Outcome.RETRY, "half-registered")


@pytest.mark.parametrize(
    "page",
    [
        '{"count":1,"results":[7]}',
        '{"count":1,"results":[{"SeriesInstanceUID":"1.2"}]}',
        '{"count":1,"results":[]}',
        "[]",
        "<html>",
    ],
)
def test_a_search_that_says_nothing_of_the_series_spends_no_attempt(
    switches: CubeUnderTest, page: str
) -> None:
    assert register(switches)[0] is Outcome.REGISTERED
    switches.throw("fail", status=200, body=page, method="GET")
    assert register(switches)[0] is Outcome.HELD_UP


def test_an_outage_is_not_the_series_fault(switches: CubeUnderTest) -> None:
    switches.throw("database-down")
    assert register(switches)[0] is Outcome.OUTAGE
    switches.throw("heal")
    assert register(switches)[0] is Outcome.REGISTERED


def test_the_probe_sees_whether_series_can_be_registered(switches: CubeUnderTest) -> None:
    async def trouble(user: str) -> str | None:
        async with HttpClient(switches.transport(), connect_seconds=5, seconds=60) as http:
            auth = TokenAuth(switches.url, user, f"{user}1234")
            return await trouble_with_series(Cube(http, switches.url, auth))

    assert asyncio.run(trouble("chris")) is None
    assert asyncio.run(trouble("reader")) == WRONG_USER
    switches.throw("database-down")
    assert asyncio.run(trouble("chris")) == DATABASE
