"""Calls that hang, for real: each blocks in a read of a pipe into which nobody writes."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Iterator

import pytest

from lapidicom.common.may_block import DaemonThreads
from tests.support.polling import eventually_async


class Pipe:
    """Blocks whoever reads it until it is written to."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self.readers = 0

    def read(self) -> bytes:
        self.readers += 1
        return os.read(self._read, 1)

    def let_go(self) -> None:
        os.write(self._write, b"x" * 100)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.let_go()


def _leave() -> None:
    raise GeneratorExit


def test_what_a_call_returns_or_raises_is_passed_on() -> None:
    async def test() -> None:
        threads = DaemonThreads()
        assert await threads.run(lambda: 7) == 7
        with pytest.raises(KeyError):
            await threads.run(lambda: {}[1])
        with pytest.raises(GeneratorExit):  # no Exception: whoever waits must hear of it all the same
            await threads.run(_leave)

    asyncio.run(test())


def test_a_call_that_hangs_is_given_up_and_the_loop_goes_on_and_ends(pipe: Pipe) -> None:
    async def test() -> int:
        threads = DaemonThreads(most=2, seconds=0.5)
        with pytest.raises(TimeoutError):
            await threads.run(pipe.read)
        return await eventually_async(lambda: threads.run(lambda: 2))

    assert asyncio.run(test()) == 2
    assert pipe.readers == 1


def test_no_more_hang_than_there_are_threads_and_the_next_does_not_wait(pipe: Pipe) -> None:
    async def test() -> None:
        threads = DaemonThreads(most=3, seconds=0.05)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await threads.run(pipe.read)
        with pytest.raises(TimeoutError, match="earlier calls still hang"):
            await threads.run(pipe.read)
        assert pipe.readers == 3
        pipe.let_go()

        async def works_again() -> bool:
            with contextlib.suppress(TimeoutError):
                return await threads.run(lambda: True)
            return False

        await eventually_async(works_again)

    asyncio.run(test())


def test_more_calls_than_threads_wait_for_their_turn() -> None:
    most = 0
    under_way = 0
    lock = threading.Lock()
    both = threading.Barrier(2)

    def work() -> None:
        nonlocal most, under_way
        with lock:
            under_way += 1
            most = max(most, under_way)
        both.wait(10)
        with lock:
            under_way -= 1

    async def test() -> None:
        threads = DaemonThreads(most=2, seconds=10)
        await asyncio.gather(*[threads.run(work) for _ in range(20)])

    asyncio.run(test())
    assert most == 2


def test_a_cancelled_call_counts_until_it_comes_back(pipe: Pipe) -> None:
    async def test() -> None:
        threads = DaemonThreads(most=1, seconds=10)
        call = asyncio.create_task(threads.run(pipe.read))
        while not pipe.readers:
            await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        with pytest.raises(TimeoutError):
            await threads.run(lambda: 1)

    asyncio.run(test())
