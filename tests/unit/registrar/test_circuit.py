"""The breaker with CUBE played: what closes it, and what CUBE is asked for that."""

import asyncio
from typing import cast

from lapidicom.registrar.consumer.breaker import Blame, Failure
from lapidicom.registrar.consumer.circuit import Circuit, KnownGood
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.replies import Answer, Reply
from lapidicom.registrar.cube.series_outcomes import SeriesKey

KNOWN = Answer(400, "application/json", b'{"path":["File has already been registered."]}')
CREATED = Answer(201, "application/json", b'{"fname":"good.dcm"}')
NOT_FOUND = Answer(400, "application/json", b'{"path":["Could not find this path."]}')
PAGE = Answer(200, "text/html", b"<html>")


class PlayedCube:
    """Gives one answer, and remembers what it was asked."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.bodies: list[bytes] = []

    async def register(self, body: bytes) -> Reply:
        self.bodies.append(body)
        return self.reply

    async def register_series(self, body: bytes) -> Reply:
        self.bodies.append(b"series: " + body)
        return self.reply


def circuit_at(cube: PlayedCube) -> Circuit:
    return Circuit(cast(Cube, cube), shared=0, clock=lambda: 1000.0)


def blames(circuit: Circuit, count: int, *, is_final: bool = True) -> list[Blame]:
    async def ask() -> list[Blame]:
        return [
            await circuit.blame(
                Failure("refused: StudyDate", f"{n}.dcm", ("PACS", str(n)), f"1.{n}"), None, is_final=is_final
            )
            for n in range(count)
        ]

    return asyncio.run(ask())


def test_without_a_success_nothing_is_sent_again() -> None:
    cube = PlayedCube(KNOWN)
    circuit = circuit_at(cube)
    assert blames(circuit, 12) == [Blame.UNKNOWN] * 9 + [Blame.SYSTEM] * 3
    assert cube.bodies == []
    assert circuit.open_for == "refused: StudyDate"


def test_a_registration_that_cube_still_takes_blames_the_message() -> None:
    for reply in (KNOWN, CREATED):
        cube = PlayedCube(reply)
        circuit = circuit_at(cube)
        circuit.succeeded(KnownGood(b"good", "good.dcm"))
        assert blames(circuit, 12) == [Blame.MESSAGE] * 12
        assert cube.bodies == [b"good"] * 12


def test_a_series_is_sent_again_as_a_series() -> None:
    known = Answer(
        400,
        "application/json",
        b'["A DICOM series with SeriesInstanceUID=1.2 already registered for pacs CT"]',
    )
    for reply, blame in ((known, Blame.MESSAGE), (NOT_FOUND, Blame.SYSTEM), (KNOWN, Blame.SYSTEM)):
        cube = PlayedCube(reply)
        circuit = circuit_at(cube)
        circuit.succeeded(KnownGood(b"good", SeriesKey("CT", "1.2", "folder")))
        assert blames(circuit, 12)[-1] is blame
        assert set(cube.bodies) == {b"series: good"}


def test_a_registration_that_cube_takes_no_more_proves_nothing() -> None:
    for reply in (NOT_FOUND, PAGE):
        circuit = circuit_at(PlayedCube(reply))
        circuit.succeeded(KnownGood(b"good", "good.dcm"))
        assert blames(circuit, 12)[-1] is Blame.SYSTEM


def test_an_open_one_is_closed_by_it() -> None:
    cube = PlayedCube(NOT_FOUND)
    circuit = circuit_at(cube)
    circuit.succeeded(KnownGood(b"good", "good.dcm"))
    assert blames(circuit, 12)[-1] is Blame.SYSTEM
    cube.reply = KNOWN
    assert blames(circuit, 1) == [Blame.MESSAGE]
    assert circuit.open_for is None


def test_for_messages_that_only_wait_it_is_sent_not_before_they_are_many() -> None:
    cube = PlayedCube(KNOWN)
    circuit = circuit_at(cube)
    circuit.succeeded(KnownGood(b"good", "good.dcm"))
    assert blames(circuit, 10, is_final=False) == [Blame.UNKNOWN] * 9 + [Blame.MESSAGE]
    assert cube.bodies == [b"good"]
