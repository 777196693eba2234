"""Work that has begun is brought to its end, and no error of it is lost."""

import asyncio

import pytest

from lapidicom.cli.in_flight import InFlight


class Work:
    """Pieces of work that end when they are let go."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.begun: list[int] = []
        self.ended: list[int] = []

    async def do(self, number: int, error: Exception | None = None) -> None:
        self.begun.append(number)
        if error is not None:
            raise error
        await self.may_end.wait()
        self.ended.append(number)


def test_no_more_than_so_many_are_under_way() -> None:
    async def start_all(work: Work) -> None:
        async with InFlight(2) as flight:
            for number in range(4):
                await flight.start(work.do, number)

    async def watch() -> None:
        work = Work()
        task = asyncio.create_task(start_all(work))
        while len(work.begun) < 2:
            await asyncio.sleep(0)
        assert work.begun == [0, 1]
        work.may_end.set()
        await task
        assert work.ended == [0, 1, 2, 3]

    asyncio.run(watch())


def test_what_is_under_way_is_ended_when_the_block_is_cancelled() -> None:
    async def start_and_wait(work: Work) -> None:
        async with InFlight(2) as flight:
            await flight.start(work.do, 1)
            await asyncio.Event().wait()

    async def watch() -> None:
        work = Work()
        task = asyncio.create_task(start_and_wait(work))
        while not work.begun:
            await asyncio.sleep(0)
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
        work.may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert work.ended == [1]

    asyncio.run(watch())


def test_the_first_error_is_raised_once_the_others_have_ended_and_nothing_more_is_begun() -> None:
    async def start_all(work: Work) -> None:
        work.may_end.set()
        async with InFlight(2) as flight:
            for number in range(6):
                await flight.start(work.do, number, ValueError("first") if number == 1 else None)

    work = Work()
    with pytest.raises(ValueError, match="first"):
        asyncio.run(start_all(work))
    assert 0 in work.ended
    assert 5 not in work.begun


def test_an_error_of_the_last_piece_is_raised_too() -> None:
    async def start_all() -> None:
        async with InFlight(2) as flight:
            await flight.start(Work().do, 1, ValueError("last"))

    with pytest.raises(ValueError, match="last"):
        asyncio.run(start_all())


def test_work_that_is_cancelled_too_ends_the_block_and_nothing_more_is_begun() -> None:
    """A second Ctrl-C cancels all that asyncio knows."""
    troubles: list[object] = []

    async def start_and_cancel(work: Work) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, trouble: troubles.append(trouble))
        async with InFlight(1) as flight:
            await flight.start(work.do, 1)
            await asyncio.sleep(0)
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.wait_for(flight.start(work.do, 2), 20)

    work = Work()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(start_and_cancel(work))
    assert (work.begun, troubles) == ([1], [])
