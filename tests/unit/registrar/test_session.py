import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast

import pytest

from lapidicom.common.broker import ConnectionLost, Consumer
from lapidicom.registrar.consumer.deliveries import Deliveries
from lapidicom.registrar.consumer.session import Session
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.outcomes import Outcome, Verdict

REGISTERED = Verdict(Outcome.REGISTERED, "http_201")
OUTAGE = Verdict(Outcome.OUTAGE, "http_503", 503)


@dataclass(frozen=True)
class FakeDelivery:
    """A delivery as the session sees it."""

    lapidicom_id: str
    count: int = 0


@dataclass
class Scene:
    """Consumer, clients and delivery rules, played."""

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    deliveries: "asyncio.Queue[FakeDelivery]" = field(default_factory=asyncio.Queue)
    handled: list[str] = field(default_factory=list)
    parked: list[str] = field(default_factory=list)
    under_way: set[FakeDelivery] = field(default_factory=set)
    most_suspects: int = 0
    most: int = 0
    stopped: int = 0
    end: asyncio.Event = field(default_factory=asyncio.Event)

    async def ended(self) -> None:
        await self.end.wait()
        raise ConnectionLost("gone")

    async def stop(self) -> None:
        self.stopped += 1

    async def handle(self, _: Cube, delivery: FakeDelivery) -> Verdict | None:
        self.under_way.add(delivery)
        self.most = max(self.most, len(self.under_way))
        self.most_suspects = max(self.most_suspects, sum(one.count >= 2 for one in self.under_way))
        for _turn in range(5):
            await asyncio.sleep(0)
        self.under_way.discard(delivery)
        self.handled.append(delivery.lapidicom_id)
        return self.verdicts.get(delivery.lapidicom_id, REGISTERED)

    async def park(self, delivery: FakeDelivery, outage: Verdict) -> None:
        assert outage is OUTAGE
        self.parked.append(delivery.lapidicom_id)

    def session(self, workers: int = 4, *, until_success: bool = False) -> Session:
        cubes = [cast(Cube, None)] * workers
        return Session(
            cast(Consumer, self), cubes, cast(Deliveries, self), suspect_pause=0, until_success=until_success
        )


def run(test: Callable[[Scene], Awaitable[None]]) -> Scene:
    async def bounded() -> Scene:
        scene = Scene()
        async with asyncio.timeout(10):
            await test(scene)
        return scene

    return asyncio.run(bounded())


def give(scene: Scene, *deliveries: FakeDelivery) -> None:
    for delivery in deliveries:
        scene.deliveries.put_nowait(delivery)


def test_all_that_is_in_hand_ends_before_a_stopped_session_does() -> None:
    async def test(scene: Scene) -> None:
        give(scene, *[FakeDelivery(str(n), count=n % 4) for n in range(20)])
        session = scene.session()
        session.stop()
        await session.run()
        assert session.successes == 20
        assert session.outage is None

    scene = run(test)
    assert sorted(scene.handled, key=int) == [str(n) for n in range(20)]
    assert scene.stopped == 1


def test_as_many_are_under_way_as_there_are_workers() -> None:
    async def test(scene: Scene) -> None:
        give(scene, *[FakeDelivery(str(n)) for n in range(50)])
        session = scene.session(workers=3)
        session.stop()
        await session.run()

    assert run(test).most == 3


def test_suspects_are_handled_one_at_a_time_beside_the_others() -> None:
    async def test(scene: Scene) -> None:
        give(scene, *[FakeDelivery(str(n), count=2 + n % 3) for n in range(10)])
        give(scene, *[FakeDelivery(str(n)) for n in range(10, 20)])
        session = scene.session()
        session.stop()
        await session.run()

    scene = run(test)
    assert scene.most_suspects == 1
    assert scene.most > 2
    assert len(scene.handled) == 20


def test_suspects_are_handled_in_random_order() -> None:
    async def test(scene: Scene) -> None:
        give(scene, *[FakeDelivery(str(n), count=2) for n in range(6)])
        session = scene.session()
        session.stop()
        await session.run()

    orders = {tuple(run(test).handled) for _ in range(30)}
    assert len(orders) > 5
    assert len({order[0] for order in orders}) > 2


def test_an_outage_stops_consuming_and_what_is_in_hand_is_parked() -> None:
    async def test(scene: Scene) -> None:
        scene.verdicts["0"] = OUTAGE
        give(scene, *[FakeDelivery(str(n), count=3 * (n % 2)) for n in range(20)])
        session = scene.session(workers=1)
        await session.run()
        assert session.outage is OUTAGE

    scene = run(test)
    assert scene.stopped == 1
    assert len(scene.handled) + len(scene.parked) == 20
    assert len(scene.parked) >= 10


def test_the_end_of_the_connection_ends_the_session() -> None:
    async def test(scene: Scene) -> None:
        running = asyncio.create_task(scene.session().run())
        await asyncio.sleep(0)
        scene.end.set()
        with pytest.raises(ConnectionLost):
            await running

    run(test)


@pytest.mark.parametrize("outcome", [Outcome.REGISTERED, Outcome.ALREADY_REGISTERED])
def test_a_trial_ends_with_its_first_success(outcome: Outcome) -> None:
    async def test(scene: Scene) -> None:
        for number in ("0", "1"):
            scene.verdicts[number] = Verdict(Outcome.PERMANENT, "refused: StudyDate")
        scene.verdicts["2"] = Verdict(outcome, "")
        give(scene, *[FakeDelivery(str(n)) for n in range(3)])
        session = scene.session(workers=1, until_success=True)
        await session.run()
        assert (session.successes, session.outage) == (1, None)

    scene = run(test)
    assert scene.handled == ["0", "1", "2"]
    assert scene.stopped == 1
