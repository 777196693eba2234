"""LONK: subjects and payloads as oxidicom's clients read them, and an outbox in which nothing piles up."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from lapidicom.common.lonk import (
    COUNT_SECONDS,
    DONE,
    Messages,
    Outbox,
    count_of,
    failure_of,
    subject_of,
)
from tests.support.relay_rig import Clock

UID = "1.2.3"
SUBJECT = "oxidicom.PACS.1_2_3"


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(bounded())


async def nothing_to_take(outbox: Outbox) -> bool:
    taking = asyncio.create_task(outbox.take())
    for _ in range(3):
        await asyncio.sleep(0)
    idle = not taking.done()
    taking.cancel()
    return idle


@pytest.mark.parametrize(
    ("pacs_name", "uid", "subject"),
    [
        ("MY PACS.1", "1.2.3", "oxidicom.MY_PACS_1.1_2_3"),
        ("OXITESTORTHANC", "1.3.12.2", "oxidicom.OXITESTORTHANC.1_3_12_2"),
        ("A*B>C", "1.2", "oxidicom.A_B_C.1_2"),
        ("\0A\0", "1.\0002", "oxidicom.A.1_2"),
        ("Ä-B", "1.2", "oxidicom.Ä-B.1_2"),
        ("A\r\nB\tC", "1.2", "oxidicom.A__B_C.1_2"),  # NATS' own separators, which CUBE would never ask for
    ],
)
def test_the_subject_of_a_series_is_oxidicoms(pacs_name: str, uid: str, subject: str) -> None:
    assert subject_of(pacs_name, uid) == subject


def test_a_count_is_four_bytes_little_endian_behind_its_kind() -> None:
    assert count_of(0) == bytes.fromhex("0100000000")
    assert count_of(1) == bytes.fromhex("0101000000")
    assert count_of(384) == bytes.fromhex("0180010000")
    assert count_of(1 << 40) == bytes.fromhex("01ffffffff")


def test_done_is_one_byte_and_an_error_is_text_behind_its_kind() -> None:
    assert DONE == b"\x00"
    assert failure_of("late-instances") == b"\x02late-instances"
    assert failure_of("größer") == b"\x02gr\xc3\xb6\xc3\x9fer"
    assert len(failure_of("x" * 1000)) == 201


def test_of_a_series_only_the_newest_count_is_kept_and_the_next_one_waits() -> None:
    async def test() -> None:
        clock = Clock()
        outbox = Outbox(clock=clock)
        for instances in range(1, 100):
            outbox.count("PACS", UID, instances)
        assert await outbox.take() == [(SUBJECT, count_of(99))]
        outbox.count("PACS", UID, 100)
        clock.now += COUNT_SECONDS * 0.9
        assert await nothing_to_take(outbox)
        clock.now += COUNT_SECONDS
        assert await outbox.take() == [(SUBJECT, count_of(100))]

    run(test)


def test_a_last_count_and_an_end_are_sent_at_once_and_nothing_older_of_that_series_follows() -> None:
    async def test() -> None:
        outbox = Outbox(clock=Clock())
        outbox.count("PACS", UID, 1)
        assert len(await outbox.take()) == 1
        outbox.count("PACS", UID, 2)
        outbox.count("PACS", "1.2.4", 7)
        outbox.count("PACS", UID, 3, last=True)
        assert await outbox.take() == [(SUBJECT, count_of(3))]
        outbox.done("PACS", UID)
        outbox.failed("PACS", "1.2.5", "late-instances")
        assert await outbox.take() == [(SUBJECT, DONE), ("oxidicom.PACS.1_2_5", b"\x02late-instances")]
        assert await nothing_to_take(outbox)  # 1.2.4 waits for its time

    run(test)


def test_a_waiting_count_is_sent_when_its_time_has_come() -> None:
    async def test() -> None:
        outbox = Outbox()
        outbox.count("PACS", UID, 1)
        await outbox.take()
        outbox.count("PACS", UID, 2)
        assert await outbox.take() == [(SUBJECT, count_of(2))]

    run(test)


def test_while_nobody_sends_no_more_is_kept_than_one_message_for_each_of_the_newest_series() -> None:
    async def test() -> None:
        outbox = Outbox(most=3, clock=Clock())
        for number in range(10_000):
            outbox.count("PACS", f"1.{number}", number)
            outbox.done("PACS", f"2.{number}")
        batch = await outbox.take()
        assert [subject for subject, _ in batch] == [
            *(f"oxidicom.PACS.2_{number}" for number in (9997, 9998, 9999)),
            *(f"oxidicom.PACS.1_{number}" for number in (9997, 9998, 9999)),
        ]
        for _ in range(10):
            outbox.put_back(batch)
        assert len(await outbox.take()) == 3

    run(test)


@pytest.mark.parametrize("older", [count_of(1), DONE])
def test_what_could_not_be_sent_is_sent_later_unless_there_is_something_newer(older: bytes) -> None:
    async def taken_after(newer: Callable[[Outbox], None] | None) -> Messages:
        outbox = Outbox(clock=Clock())
        if newer is not None:
            newer(outbox)
        outbox.put_back([(SUBJECT, older)])
        return await outbox.take()

    async def test() -> None:
        assert await taken_after(None) == [(SUBJECT, older)]
        assert await taken_after(lambda outbox: outbox.done("PACS", UID)) == [(SUBJECT, DONE)]
        counted = await taken_after(lambda outbox: outbox.count("PACS", UID, 2))
        assert counted == [(SUBJECT, one) for one in (older, count_of(2)) if one != count_of(1)]

    run(test)


def test_a_closed_outbox_gives_at_once_what_it_holds_and_then_nothing() -> None:
    async def test() -> None:
        outbox = Outbox(clock=Clock())
        outbox.count("PACS", UID, 1)
        await outbox.take()
        outbox.count("PACS", UID, 2)
        outbox.close()
        assert await outbox.take() == [(SUBJECT, count_of(2))]
        assert await outbox.take() == []

    run(test)


def test_who_waits_for_messages_can_be_told_that_it_is_over() -> None:
    async def test() -> None:
        outbox = Outbox(clock=Clock())
        over = False
        taking = asyncio.create_task(outbox.take(lambda: over))
        await asyncio.sleep(0)
        over = True
        outbox.wake()
        assert await taking == []

    run(test)
