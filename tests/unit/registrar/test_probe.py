import asyncio
from collections.abc import Callable, Coroutine

from lapidicom.registrar.cube.probe import SharedProbe

AWAY = "its database is down"


class Scene:
    """A probe with a clock of its own; each probe takes one second of it."""

    def __init__(self, trouble: str | None) -> None:
        self.now = 100.0
        self.probes = 0
        self.trouble = trouble
        self.probe = SharedProbe(self._ask, clock=lambda: self.now, shared=5)

    async def _ask(self) -> str | None:
        self.probes += 1
        trouble = self.trouble
        await asyncio.sleep(0)
        self.now += 1
        return trouble


def run(scene: Scene, test: Callable[[Scene], Coroutine[None, None, None]]) -> None:
    asyncio.run(test(scene))


def test_trouble_is_shared_for_five_seconds() -> None:
    async def test(scene: Scene) -> None:
        assert await scene.probe.trouble() == AWAY
        scene.trouble = None
        scene.now += 4.9
        assert await scene.probe.trouble() == AWAY
        assert scene.probes == 1
        scene.now += 0.2
        assert await scene.probe.trouble() is None
        assert scene.probes == 2

    run(Scene(AWAY), test)


def test_a_good_result_that_is_older_than_the_failure_proves_nothing() -> None:
    async def test(scene: Scene) -> None:
        assert await scene.probe.trouble() is None
        scene.trouble = AWAY
        assert await scene.probe.trouble() == AWAY

    run(Scene(None), test)


def test_those_who_fail_at_the_same_time_share_one_probe() -> None:
    async def test(scene: Scene) -> None:
        assert set(await asyncio.gather(*[scene.probe.trouble() for _ in range(16)])) == {None}
        assert scene.probes == 1

    run(Scene(None), test)


def test_those_who_fail_while_a_probe_is_under_way_wait_for_the_next_one() -> None:
    async def test(scene: Scene) -> None:
        first = asyncio.create_task(scene.probe.trouble())
        await asyncio.sleep(0)
        scene.now += 0.1
        scene.trouble = AWAY
        later = [asyncio.create_task(scene.probe.trouble()) for _ in range(8)]
        assert await first is None
        assert set(await asyncio.gather(*later)) == {AWAY}
        assert scene.probes == 2

    run(Scene(None), test)
