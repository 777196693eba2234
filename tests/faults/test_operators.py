"""Operators and their accidents: looks change nothing; no killed or interrupted replay loses a message."""

import asyncio
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aio_pika
import pytest

from lapidicom.cli.dead_letters import look as look_at_dead_letters
from lapidicom.common.broker import connection
from lapidicom.common.messages import HEADER_ID
from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_QUEUE
from tests.support.command import in_process, lapidicom, start
from tests.support.dead_letters import bury, dead_letter
from tests.support.polling import eventually
from tests.support.queues import look, take_all
from tests.support.seeds import is_large, seeded

KILLS = 6
LETTERS = 5000 if is_large() else 300
LOOKS, LOOKED_AT = (100, 10_000) if is_large() else (25, 500)
IN_FLIGHT = 200
"""What a kill between confirm and acknowledgement may leave in both queues."""

BUSY = 3


def ids(messages: list[Any]) -> list[str]:
    return [message.headers[HEADER_ID] for message in messages]


def fill(url: str, count: int) -> list[str]:
    letters = [dead_letter(number) for number in range(1, count + 1)]
    bury(url, letters)
    eventually(
        lambda: look(url, DEAD_LETTER_QUEUE).ready == count, 60, every=0.2, what="all are dead letters"
    )
    return [letter.lapidicom_id for letter in letters]


class Watch:
    """Looks at one queue again and again, on one connection."""

    def __init__(self, queue: Any, runner: asyncio.Runner) -> None:
        self._queue = queue
        self._runner = runner

    @property
    def depth(self) -> int:
        """Messages that are ready."""
        return self._runner.run(self._look()).message_count or 0

    @property
    def consumers(self) -> int:
        """Consumers."""
        return self._runner.run(self._look()).consumer_count or 0

    async def _look(self) -> Any:
        async with asyncio.timeout(30):
            return await self._queue.declare()


@contextmanager
def watching(url: str, queue: str) -> Iterator[Watch]:
    with asyncio.Runner() as runner:

        async def opened() -> tuple[Any, Any]:
            link = await aio_pika.connect(url)
            channel = await link.channel()
            return link, await channel.declare_queue(queue, passive=True)

        link, found = runner.run(opened())
        try:
            yield Watch(found, runner)
        finally:
            runner.run(link.close())


def until_replayed(watch: Watch, process: subprocess.Popen[str], depth: int) -> None:
    """Wait until the work queue holds so many, or the process has ended."""
    eventually(
        lambda: process.poll() is not None or watch.depth >= depth,
        120,
        every=0.01,
        what=f"{depth} are replayed",
    )


def replay(url: str, *options: str) -> subprocess.Popen[str]:
    return start("dlq", "replay", "--all", "--keep-going", *options, AMQP_URL=url, LOG_FORMAT="json")


def whatever_was_left(url: str) -> Any:
    """Replay the rest, once the lock of a killed one is gone."""

    def replayed() -> Any:
        ended = lapidicom("dlq", "replay", "--all", "--keep-going", "--json", seconds=300, AMQP_URL=url)
        return None if ended.status == BUSY else ended

    ended = eventually(replayed, 60, every=0.2, what="the lock is free")
    assert ended.status == 0, ended.err
    return ended


def test_six_kills_of_a_replay_lose_nothing_and_send_few_twice(amqp_url: str) -> None:
    buried = fill(amqp_url, LETTERS)
    random = seeded("kills of a replay")
    each = LETTERS // KILLS // 2
    struck = 0
    with watching(amqp_url, WORK_QUEUE) as watch:
        while struck < KILLS:
            goal = watch.depth + random.randint(1, each)
            # Without a rate a small replay would be over before the second kill.
            process = replay(amqp_url, "--rate", str(each))
            until_replayed(watch, process, goal)
            process.kill()
            _, told = process.communicate(timeout=60)
            if process.returncode == BUSY:  # the lock of the one before
                continue
            assert process.returncode == -signal.SIGKILL, f"it ended before kill {struck + 1}: {told}"
            assert watch.depth >= goal, "nothing was replayed before the kill"
            struck += 1
        assert watch.depth < LETTERS, "nothing was left when the last kill struck"
    whatever_was_left(amqp_url)
    eventually(lambda: look(amqp_url, DEAD_LETTER_QUEUE).ready == 0, 30, every=0.2, what="none is left")
    sent = Counter(ids(take_all(amqp_url, WORK_QUEUE)))
    assert set(sent) == set(buried)
    assert max(sent.values()) <= 1 + KILLS
    assert sent.total() - len(buried) <= KILLS * IN_FLIGHT


def test_a_replay_that_is_interrupted_ends_what_is_under_way(amqp_url: str) -> None:
    buried = fill(amqp_url, LETTERS)
    random = seeded("interruption of a replay")
    process = replay(amqp_url, "--rate", "30")
    with watching(amqp_url, WORK_QUEUE) as watch:
        until_replayed(watch, process, random.randint(1, LETTERS // 10))
    assert process.poll() is None, "it was over before it could be interrupted"
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "replayed; the others are dead letters still" in told
    sent, left = ids(take_all(amqp_url, WORK_QUEUE)), ids(take_all(amqp_url, DEAD_LETTER_QUEUE))
    assert sent + left == buried


def kill_one_that_looks(url: str, watch: Watch) -> None:
    """Kill a list while it holds dead letters; one that was over before is started again."""

    def is_killed() -> bool:
        process = start("dlq", "list", "--json", AMQP_URL=url)
        while process.poll() is None and not watch.consumers:
            pass
        process.kill()
        process.communicate(timeout=60)
        return process.returncode == -signal.SIGKILL

    eventually(is_killed, 60, what="a list is killed")


@pytest.mark.parametrize("moment", ["start", "look"])
def test_a_list_that_is_killed_or_interrupted_leaves_all_dead_letters(amqp_url: str, moment: str) -> None:
    buried = fill(amqp_url, LETTERS)
    if moment == "look":
        with watching(amqp_url, DEAD_LETTER_QUEUE) as watch:
            kill_one_that_looks(amqp_url, watch)
    else:
        process = start("dlq", "list", "--json", AMQP_URL=amqp_url)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode in {-signal.SIGINT, 130}
    eventually(lambda: look(amqp_url, DEAD_LETTER_QUEUE).ready == LETTERS, 30, every=0.1, what="all are back")
    left = ids(take_all(amqp_url, DEAD_LETTER_QUEUE))
    if moment == "look":  # what a killed reader held stands behind what was ready still
        left.sort(key=buried.index)
    assert left == buried


def test_looking_more_often_than_any_delivery_limit_changes_nothing(amqp_url: str) -> None:
    buried = fill(amqp_url, LOOKED_AT)

    async def look_again_and_again(times: int) -> None:
        async with connection(amqp_url, "test") as link:
            for _ in range(times):
                async with look_at_dead_letters(link) as letters:
                    assert [letter.lapidicom_id async for letter, _ in letters] == buried

    asyncio.run(look_again_and_again(LOOKS - 1))
    listed = in_process("dlq", "list", "--json", AMQP_URL=amqp_url)
    assert [letter["id"] for letter in listed.document["dead_letters"]] == buried
    taken = take_all(amqp_url, DEAD_LETTER_QUEUE)
    assert ids(taken) == buried
    assert {message.headers["x-delivery-count"] for message in taken} == {LOOKS}
