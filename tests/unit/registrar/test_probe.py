import asyncio
from collections.abc import Callable, Coroutine

from lapidicom.registrar.cube.availability import Probe
from lapidicom.registrar.cube.replies import Answer, Fault, NoAnswer, Reply

WELL = Answer(200, "application/json", b"{}")
AWAY = NoAnswer(Fault.NOT_CONNECTED)


class Scene:
    """A probe with a clock of its own; each probe takes one second of it."""

    def __init__(self, reply: Reply) -> None:
        self.now = 100.0
        self.probes = 0
        self.reply = reply
        self.probe = Probe(self._answer, clock=lambda: self.now, shared=5)

    async def _answer(self) -> Reply:
        self.probes += 1
        reply = self.reply
        await asyncio.sleep(0)
        self.now += 1
        return reply


def run(scene: Scene, test: Callable[[Scene], Coroutine[None, None, None]]) -> None:
    asyncio.run(test(scene))


def test_only_an_authenticated_200_means_well() -> None:
    async def test(scene: Scene) -> None:
        for status in (201, 301, 401, 403, 404, 500, 503):
            scene.reply = Answer(status, "application/json", b"{}")
            scene.now += 100
            assert not await scene.probe.is_well()

    run(Scene(WELL), test)


def test_a_bad_result_is_shared_for_five_seconds() -> None:
    async def test(scene: Scene) -> None:
        assert not await scene.probe.is_well()
        scene.reply = WELL
        scene.now += 4.9
        assert not await scene.probe.is_well()
        assert scene.probes == 1
        scene.now += 0.2
        assert await scene.probe.is_well()
        assert scene.probes == 2

    run(Scene(AWAY), test)


def test_a_good_result_that_is_older_than_the_failure_proves_nothing() -> None:
    async def test(scene: Scene) -> None:
        assert await scene.probe.is_well()
        scene.reply = AWAY
        assert not await scene.probe.is_well()

    run(Scene(WELL), test)


def test_those_who_fail_at_the_same_time_share_one_probe() -> None:
    async def test(scene: Scene) -> None:
        assert all(await asyncio.gather(*[scene.probe.is_well() for _ in range(16)]))
        assert scene.probes == 1

    run(Scene(WELL), test)


def test_those_who_fail_while_a_probe_is_under_way_wait_for_the_next_one() -> None:
    async def test(scene: Scene) -> None:
        first = asyncio.create_task(scene.probe.is_well())
        await asyncio.sleep(0)
        scene.now += 0.1
        scene.reply = AWAY
        later = [asyncio.create_task(scene.probe.is_well()) for _ in range(8)]
        assert await first
        assert not any(await asyncio.gather(*later))
        assert scene.probes == 2

    run(Scene(WELL), test)
