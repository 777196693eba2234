"""CUBE away, hanging, flaky, without database, volume or token: no attempt is spent, no SCU notices."""

import random
from collections.abc import Callable, Iterator

import pytest

from tests.support.instances import Instance, instance
from tests.support.polling import eventually
from tests.support.registrar.__main__ import Options
from tests.support.seeds import rounds, seeded
from tests.support.whole_path import WholePath

COUNT = 20
REGISTRATION = "SERVICES/PACS"


def instances(first: int) -> list[Instance]:
    return [instance(number, size=10_000) for number in range(first, first + COUNT)]


@pytest.fixture(scope="module")
def patient(path: WholePath) -> Iterator[WholePath]:
    """The path with a receiver, and with a registrar that waits a second for CUBE."""
    [registrar] = path.registrars
    registrar.kill()
    path.registrars.clear()
    path.registrar(Options(pace={"read": 1}), CHRIS_HTTP_RETRIES="40")
    with path.receiver():
        yield path


# What was asked for when CUBE goes may be registered behind the registrar's back: that excuses a repetition.


def stopped(path: WholePath) -> None:
    path.cube.refuse_duplicates()
    path.cube.stop()


def without_database(path: WholePath) -> None:
    path.cube.control.database_down()


def hanging(path: WholePath) -> None:
    path.cube.refuse_duplicates()
    path.cube.control.hang()


def frozen(path: WholePath) -> None:
    path.cube.refuse_duplicates()
    path.cube.pause()


def refusing(path: WholePath) -> None:
    path.cube.control.refuse()


def without_volume(path: WholePath) -> None:
    path.cube.control.volume_gone()


@pytest.fixture(autouse=True)
def _nothing_else_excuses_a_repetition(path: WholePath) -> None:
    path.cube.let_duplicates_through()


OUTAGES = [stopped, without_database, hanging, frozen, refusing, without_volume]


@pytest.mark.parametrize("away", OUTAGES)
def test_a_cube_that_is_away_costs_no_attempt_and_no_scu_notices(
    patient: WholePath, away: Callable[[WholePath], None]
) -> None:
    path = patient
    [registrar] = path.registrars
    for number in rounds(1, 5):
        rng = seeded(f"{away.__name__}-{number}")
        retried = len(registrar.events("registration_retried"))
        parked = len(registrar.events("message_parked"))
        scu = path.scu(f"{away.__name__.upper()[:12]}{number}")
        path.cube.control.slow(0.05)
        scu.start(instances(1))
        wanted = rng.randrange(1, COUNT // 2)
        eventually(lambda: len(path.report_now(scu).registered) >= wanted, 60)  # noqa: B023
        away(path)
        scu.join()
        scu.send(instances(101))
        assert set(scu.ledger.statuses()) == {0x0000}
        eventually(lambda: len(registrar.events("message_parked")) > parked, 60, what="it is noticed")  # noqa: B023
        path.cube.start()
        path.cube.resume()
        path.cube.control.heal()
        report = path.report(scu, seconds=60)
        report.check()
        assert len(report.registered) == 2 * COUNT
        assert report.dead_lettered == frozenset()
        assert len(registrar.events("registration_retried")) == retried
    assert registrar.events("message_dead_lettered") == []


def test_a_token_that_is_refused_again_and_again_is_renewed(patient: WholePath) -> None:
    path = patient
    [registrar] = path.registrars
    before = len(registrar.log())
    scu = path.scu("TOKEN")
    path.cube.control.slow(0.02)
    scu.start(instances(1) + instances(101))
    wanted = 5
    while wanted < 2 * COUNT:
        eventually(lambda: len(path.report_now(scu).registered) >= wanted, 60)  # noqa: B023
        path.cube.control.invalidate_tokens()
        # A token that is refused as soon as it was fetched is an outage: let some requests use it.
        wanted = len(path.report_now(scu).registered) + 10
    path.cube.control.heal()
    scu.join()
    report = path.report(scu, seconds=60)
    report.check()
    assert len(report.registered) == 2 * COUNT
    assert report.dead_lettered == frozenset()
    told = {line["event"] for line in registrar.log()[before:]}
    assert not told & {"registration_retried", "cube_outage", "message_parked", "message_dead_lettered"}


def fail_as(control_fail: Callable[..., None], rng: random.Random) -> str:
    """Let the next registration fail in some way; returns its name."""
    name = rng.choice(["500", "500 stored", "502", "503", "504", "429", "404", "302", "cut", "HTML", "418"])
    html = {"body": "<html>", "content_type": "text/html"}
    kinds: dict[str, dict[str, object]] = {
        "500 stored": {"status": 500, "stored": True},
        "302": {"status": 302, "headers": {"Location": "/login"}, **html},
        "cut": {"status": 201, "stored": True, "cut": True},
        "HTML": {"status": 400, **html},
    }
    control_fail(**(kinds.get(name) or {"status": int(name)}), count=1, path_contains=REGISTRATION)
    return name


def test_a_flaky_cube_gets_each_registration_in_the_end(patient: WholePath) -> None:
    path = patient
    [registrar] = path.registrars
    for number in rounds(1, 10):
        rng = seeded(f"flaky-{number}")
        path.cube.refuse_duplicates()  # some failures come after the registration
        retried = len(registrar.events("registration_retried"))
        scu = path.scu(f"FLAKY{number}")
        failures = [fail_as(path.cube.control.fail, rng) for _ in range(COUNT)]
        scu.send(instances(1) + instances(101))
        assert set(scu.ledger.statuses()) == {0x0000}
        report = path.report(scu, seconds=90)
        report.check()
        assert len(report.registered) == 2 * COUNT
        assert report.dead_lettered == frozenset()
        # Only what a CUBE that was well answered with a failure has spent an attempt.
        spending = sum(name in ("500", "500 stored", "418", "cut") for name in failures)
        assert len(registrar.events("registration_retried")) - retried <= spending
        path.cube.control.heal()
