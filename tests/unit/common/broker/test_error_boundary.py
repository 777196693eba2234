import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest
from aiormq import spec
from aiormq.exceptions import (
    AMQPConnectionError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelLockedResource,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ConnectionClosed,
    DeliveryError,
)

from lapidicom.common.broker.errors import (
    BrokerError,
    ConnectionLost,
    Refused,
    UnknownOutcome,
    boundary,
)


def translated(raised: BaseException, lost: type[BrokerError] = UnknownOutcome) -> BaseException:
    async def call() -> None:
        async with boundary(5, lost):
            raise raised

    with pytest.raises(BaseException) as caught:  # noqa: PT011 -- any may come
        asyncio.run(call())
    return caught.value


@pytest.mark.parametrize(
    "raised",
    [
        DeliveryError(None, spec.Basic.Nack()),
        ChannelNotFoundEntity("no queue"),
        ChannelPreconditionFailed("inequivalent arg"),
        ChannelAccessRefused("refused"),
        ChannelLockedResource("locked"),
    ],
)
def test_an_answer_of_no_is_refused(raised: Exception) -> None:
    assert type(translated(raised)) is Refused


@pytest.mark.parametrize(
    "raised",
    [
        AMQPConnectionError("gone"),
        ConnectionClosed(320, "shutdown"),
        ChannelInvalidStateError("closed"),
        ConnectionResetError("reset"),
        OSError("no route"),
        TimeoutError(),
        RuntimeError("closed"),
        asyncio.CancelledError(),
    ],
)
@pytest.mark.parametrize("lost", [UnknownOutcome, ConnectionLost])
def test_a_lost_connection_is_what_the_caller_says_it_means(
    raised: BaseException, lost: type[BrokerError]
) -> None:
    assert type(translated(raised, lost)) is lost


def test_a_call_that_hangs_ends_in_time() -> None:
    async def call() -> None:
        async with boundary(0.01, UnknownOutcome):
            await asyncio.Event().wait()

    with pytest.raises(UnknownOutcome, match=r"no answer within 0\.01 s"):
        asyncio.run(call())


def test_a_task_that_is_really_cancelled_stays_cancelled() -> None:
    async def call() -> None:
        async with boundary(5, UnknownOutcome):
            await asyncio.Event().wait()

    async def cancel() -> None:
        task = asyncio.create_task(call())
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel())


def test_a_fault_of_our_own_is_not_taken_for_the_brokers() -> None:
    assert type(translated(KeyError("bug"))) is KeyError


async def behind_an_error() -> None:
    """As `wait_for` of Python 3.11 does, where a call fails at the moment of the cancellation."""
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        raise ConnectionRefusedError from None


async def behind_a_success() -> None:
    """The same, where a call succeeds at that moment."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(10)


@pytest.mark.parametrize("lose_it", [behind_an_error, behind_a_success])
def test_a_cancellation_that_a_library_loses_is_passed_on(lose_it: Callable[[], Awaitable[None]]) -> None:
    async def call() -> None:
        async with boundary(5, ConnectionLost):
            await lose_it()

    async def test() -> None:
        task = asyncio.create_task(call())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(test())
