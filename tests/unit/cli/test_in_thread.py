"""What blocks for ever is left to itself; what only takes long is waited for."""

import asyncio
import threading
import time

import pytest

from lapidicom.cli.in_thread import Pulse, in_thread


def test_what_a_function_gives_or_raises_comes_back() -> None:
    assert asyncio.run(in_thread(lambda: 7, 5)) == 7

    def fail() -> None:
        raise PermissionError("no")

    with pytest.raises(PermissionError):
        asyncio.run(in_thread(fail, 5))


def test_what_does_not_end_is_left_to_itself() -> None:
    never = threading.Event()
    began = time.monotonic()
    try:
        with pytest.raises(TimeoutError, match=r"no answer within 0\.05 s"):
            asyncio.run(in_thread(never.wait, 0.05))
    finally:
        never.set()
    assert time.monotonic() - began < 5


def test_what_shows_signs_of_life_is_waited_for() -> None:
    pulse, beats, waited = Pulse(), 20, threading.Event()

    def work() -> int:
        for _ in range(beats):
            waited.wait(0.02)
            pulse.beat()
        return beats

    assert asyncio.run(in_thread(work, 0.3, pulse)) == beats


def test_a_thread_that_ends_after_its_loop_disturbs_nobody() -> None:
    go, ended = threading.Event(), threading.Event()

    def work() -> None:
        go.wait()
        ended.set()

    with pytest.raises(TimeoutError):
        asyncio.run(in_thread(work, 0.01))
    go.set()
    assert ended.wait(5)
