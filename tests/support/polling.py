"""Waiting for a condition, with a deadline: nothing in the tests waits by sleeping for a guessed time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], seconds: float = 30, *, every: float = 0.02, what: str = "") -> T:
    """Ask `condition` again and again until it is true; return what it returned.

    An AssertionError of the condition counts as "not yet"; the last one is the cause of the failure.

    Raises:
        AssertionError: when `seconds` have passed; the text says what was waited for.
    """
    deadline = time.monotonic() + seconds
    while True:
        cause: AssertionError | None = None
        value: T | None = None
        try:
            value = condition()
        except AssertionError as error:
            cause = error
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(_late(what, seconds, value)) from cause
        time.sleep(every)


def never(condition: Callable[[], T], seconds: float = 1, *, every: float = 0.02, what: str = "") -> None:
    """Ask `condition` again and again for so many seconds; it must not become true.

    Raises:
        AssertionError: it became true.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        assert not value, f"{what or 'the condition'} ({value!r})"
        time.sleep(every)


async def eventually_async(
    condition: Callable[[], T | Awaitable[T]], seconds: float = 30, *, every: float = 0.02, what: str = ""
) -> T:
    """The same for an event loop; `condition` may be a coroutine function."""
    deadline = time.monotonic() + seconds
    while True:
        cause: AssertionError | None = None
        value: T | None = None
        try:
            answer = condition()
            value = await answer if isinstance(answer, Awaitable) else answer
        except AssertionError as error:
            cause = error
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(_late(what, seconds, value)) from cause
        await asyncio.sleep(every)


def _late(what: str, seconds: float, last: object) -> str:
    return f"not within {seconds:g} s: {what or 'the condition'} (last: {last!r})"
