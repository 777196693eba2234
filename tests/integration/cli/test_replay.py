"""`dlq replay` against a real broker: what is sent, what is left, and what is told. Nobody consumes here."""

import asyncio
import json
from functools import partial
from typing import Any

import pytest

from lapidicom.cli.dead_letters.lock import lock
from lapidicom.cli.replay import headers as replay_headers
from lapidicom.cli.replay.pace import Pace
from lapidicom.cli.replay.records import TYPE, Record, dump
from lapidicom.common.broker import Envelope, connection
from lapidicom.common.messages import HEADER_ID, HEADER_VERSION
from lapidicom.common.topology import (
    AUDIT_QUEUE,
    DEAD_LETTER_QUEUE,
    EXCHANGE,
    REPLAY_QUEUE,
    WORK_QUEUE,
    topology,
)
from lapidicom.registrar.consumer import headers as told
from tests.support.command import Ended, in_process
from tests.support.dead_letters import bury, dead_letter
from tests.support.polling import eventually
from tests.support.queues import look, publish, take_all


def replay(url: str, *options: str) -> Ended:
    return in_process("dlq", "replay", *options, AMQP_URL=url)


def ids(url: str, queue: str) -> list[str]:
    """Take all out, and tell their ids."""
    return [message.headers[HEADER_ID] for message in take_all(url, queue)]


def filled(url: str, *letters: Envelope) -> list[str]:
    bury(url, letters)
    eventually(lambda: look(url, DEAD_LETTER_QUEUE).ready == len(letters), 20, every=0.1)
    return [letter.lapidicom_id for letter in letters]


def test_a_replayed_message_starts_anew_and_carries_what_had_happened(amqp_url: str) -> None:
    before = dead_letter(attempts=4, headers={"traceparent": "00-1-2-01", "site": 7})
    filled(amqp_url, before)
    ended = replay(amqp_url, "--all", "--json")
    assert (ended.status, ended.document["sent"]) == (0, 1)
    (message,) = take_all(amqp_url, WORK_QUEUE)
    assert (message.body, message.type, message.app_id) == (before.body, "InstanceStored", "lapidicom")
    now = dict(message.headers)
    first = now.pop(told.FIRST_ATTEMPT)
    assert first == before.headers[told.FIRST_ATTEMPT]
    assert now.pop(replay_headers.REPLAYED_AT) > str(first)
    assert {name: value for name, value in now.items() if not name.startswith("x-")} == {
        HEADER_ID: before.lapidicom_id,
        HEADER_VERSION: 1,
        "traceparent": "00-1-2-01",
        "site": 7,
        replay_headers.REPLAY: ended.document["replay"],
        replay_headers.REPLAYS: 1,
        replay_headers.FORMER_REASON: "refused: StudyDate",
        replay_headers.FORMER_STATUS: 400,
        replay_headers.FORMER_ATTEMPTS: 4,
    }
    assert look(amqp_url, DEAD_LETTER_QUEUE).ready == 0
    assert look(amqp_url, REPLAY_QUEUE).ready == 0


def test_only_what_the_filters_mean_is_replayed_and_the_rest_keeps_its_order(amqp_url: str) -> None:
    letters = [
        dead_letter(number, "file-missing" if number % 3 else "refused: path") for number in range(1, 31)
    ]
    buried = filled(amqp_url, *letters)
    ended = replay(amqp_url, "--reason", "refused", "--limit", "8")
    assert ended.status == 0
    assert "8 of 30 dead letters will be replayed" in ended.out
    meant = buried[2::3][:8]
    assert ids(amqp_url, WORK_QUEUE) == meant
    assert ids(amqp_url, DEAD_LETTER_QUEUE) == [name for name in buried if name not in meant]


def test_more_letters_than_may_be_held_are_passed_over_and_keep_their_order(
    amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lapidicom.cli.replay.engine.HELD", 10)
    monkeypatch.setattr("lapidicom.cli.dead_letters.reading.MOST_HELD", 7)
    letters = [
        dead_letter(number, "file-missing" if number % 3 else "refused: path") for number in range(1, 61)
    ]
    buried = filled(amqp_url, *letters)
    assert replay(amqp_url, "--reason", "refused").status == 0
    assert ids(amqp_url, WORK_QUEUE) == buried[2::3]
    listed = in_process("dlq", "list", "--json", AMQP_URL=amqp_url).document["dead_letters"]
    assert [letter["id"] for letter in listed] == [name for name in buried if name not in buried[2::3]]


def test_a_replay_that_ends_early_leaves_the_order_of_the_rest(
    amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lapidicom.cli.replay.engine.HELD", 10)
    buried = filled(amqp_url, *map(dead_letter, range(1, 61)))
    assert replay(amqp_url, "--all", "--limit", "3").status == 0
    assert ids(amqp_url, WORK_QUEUE) == buried[:3]
    assert ids(amqp_url, DEAD_LETTER_QUEUE) == buried[3:]


def test_letters_that_are_held_for_long_are_given_back_and_taken_again(
    amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lapidicom.cli.replay.pace.Pace", partial(Pace, batch=4, held_seconds=0.0))
    twice = dead_letter(2)
    letters = [
        dead_letter(number, "file-missing" if number % 3 else "refused: path") for number in range(1, 21)
    ]
    buried = filled(amqp_url, *letters, twice)
    ended = replay(amqp_url, "--reason", "file-missing", "--reason", "refused: StudyDate", "--json")
    assert (ended.status, ended.document["sent"], ended.document["unlike_copies"]) == (0, 14, 0)
    assert ids(amqp_url, WORK_QUEUE) == [name for number, name in enumerate(buried[:20], 1) if number % 3]
    assert ids(amqp_url, DEAD_LETTER_QUEUE) == buried[2:20:3]
    assert look(amqp_url, REPLAY_QUEUE).ready == 0


def test_a_dry_run_tells_and_does_nothing(amqp_url: str) -> None:
    buried = filled(amqp_url, dead_letter(1), dead_letter(2, "file-missing"))
    ended = replay(amqp_url, "--all", "--dry-run")
    assert ended.status == 0
    assert "2 of 2 dead letters would be replayed" in ended.out
    assert look(amqp_url, WORK_QUEUE).ready == 0
    assert look(amqp_url, AUDIT_QUEUE).ready == 0
    assert ids(amqp_url, DEAD_LETTER_QUEUE) == buried


def test_copies_of_one_id_are_said_and_replayed_once_and_unlike_ones_stay(amqp_url: str) -> None:
    twice, other = dead_letter(1), dead_letter(1, PatientName="ROE^RICHARD")
    filled(amqp_url, twice, dead_letter(2), twice, other)
    ended = replay(amqp_url, "--all", "--json")
    assert {name: ended.document[name] for name in ("selected", "sent", "copies", "merged")} == {
        "selected": 2,
        "sent": 2,
        "copies": 1,
        "merged": 1,
    }
    assert ended.document["unlike_copies"] == 1
    assert ids(amqp_url, WORK_QUEUE) == [twice.lapidicom_id, dead_letter(2).lapidicom_id]
    (left,) = take_all(amqp_url, DEAD_LETTER_QUEUE)
    assert left.body == other.body


def test_an_edit_changes_the_field_and_nothing_else(amqp_url: str) -> None:
    body = json.loads(dead_letter(1).body) | {"later": [1, {"ü": None}]}
    filled(amqp_url, dead_letter(1, body=json.dumps(body).encode()), dead_letter(2, Modality="OT"))
    ended = replay(amqp_url, "--all", "--set", "Modality=OT", "--unset", "PatientName")
    assert ended.status == 0
    assert "DOE" not in ended.out
    assert "2 will be edited" in ended.out
    first, second = take_all(amqp_url, WORK_QUEUE)
    assert json.loads(first.body) == body | {"Modality": "OT", "PatientName": None}
    assert first.headers[replay_headers.EDITED] == "Modality,PatientName"
    assert second.headers[replay_headers.EDITED] == "PatientName"


def test_what_an_edit_makes_invalid_stays_a_dead_letter(amqp_url: str) -> None:
    filled(amqp_url, dead_letter(1), dead_letter(2, body=b"\xff{"))
    ended = replay(amqp_url, "--all", "--set", "PatientAge=old")
    assert ended.status == 1
    assert "not a valid value: PatientAge" in ended.out
    assert "the message cannot be read" in ended.out
    assert look(amqp_url, DEAD_LETTER_QUEUE).ready == 2
    assert look(amqp_url, WORK_QUEUE).ready == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "nothing says which dead letters"),
        (("--all", "--reason", "refused"), "contradict"),
        (("--all", "--set", "PatientID=1"), "'PatientID' may not be edited"),
        (("--all", "--set", "path=x"), "'path' may not be edited"),
        (("--all", "--set", "Modality"), "--set 'Modality' is not of its form"),
        (("--all", "--unset", "Modality", "--set", "Modality=MR"), "edited twice"),
        (("--all", "--rate", "fast"), "--rate 'fast' is no rate"),
        (("--all", "--canary", "1"), "need CHRIS_URL"),
        (("--all", "--wait"), "need CHRIS_URL"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_asked(options: tuple[str, ...], said: str) -> None:
    ended = replay("amqp://nobody:nothing@127.0.0.1:1/none", *options)
    assert ended.status == 2
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1


def record(url: str, *message_ids: str) -> Record:
    """Leave the record of an interrupted replay."""
    made = Record("20261124T030000-abcdef", "alice@ward", "2026-11-24T03:00:00+00:00", message_ids)
    publish(url, topology([1], 1), [Envelope(EXCHANGE, REPLAY_QUEUE, TYPE, 1, "r", dump(made))])
    eventually(lambda: look(url, REPLAY_QUEUE).ready == 1, 20, every=0.1)
    return made


def message_ids(url: str) -> list[str]:
    listed = in_process("dlq", "list", "--json", AMQP_URL=url).document["dead_letters"]
    found: list[str] = []
    for letter in listed:
        shown = in_process("dlq", "show", letter["id"], "--json", AMQP_URL=url).document
        found.append(shown["message_id"])
    return found


def test_an_interrupted_replay_is_said_until_its_letters_are_gone(amqp_url: str) -> None:
    filled(amqp_url, dead_letter(1), dead_letter(2, "file-missing"), dead_letter(3))
    first, second, _ = message_ids(amqp_url)
    record(amqp_url, first, second, "gone")
    for options in ((), ("--group-by", "reason")):
        listed = in_process("dlq", "list", *options, AMQP_URL=amqp_url)
        assert "alice@ward at 2026-11-24T03:00:00+00:00) may already have sent 2 of" in listed.err
    ended = replay(amqp_url, "--reason", "file-missing", "--json")
    assert ended.document["interrupted"] == {
        "replays": ["20261124T030000-abcdef"],
        "letters": 2,
        "selected": 1,
    }
    assert "alice@ward" in ended.err
    eventually(
        lambda: look(amqp_url, REPLAY_QUEUE).ready == 1, 10, every=0.1, what="the record is open still"
    )
    ended = replay(amqp_url, "--all", "--json")
    assert ended.document["interrupted"]["selected"] == 1
    assert ended.document["sent"] == 2
    eventually(lambda: look(amqp_url, REPLAY_QUEUE).ready == 0, 10, every=0.1, what="the record is closed")


@pytest.mark.parametrize(
    "command",
    [
        ("dlq", "list"),
        ("dlq", "replay", "--all"),
        ("dlq", "drop", "--reason", "x", "--no-export", "--yes"),
        ("dlq", "export", "/nonexistent/file"),
    ],
    ids=lambda command: command[1],
)
def test_a_second_operator_is_told_of_the_first_and_sees_no_empty_list(
    amqp_url: str, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lapidicom.cli.dead_letters.lock.PATIENCE_SECONDS", 0.1)
    buried = filled(amqp_url, dead_letter(1))

    async def work_meanwhile() -> Ended:
        async with connection(amqp_url, "first operator") as link, lock(link):
            return await asyncio.to_thread(in_process, *command, AMQP_URL=amqp_url)

    ended = asyncio.run(work_meanwhile())
    assert (ended.status, ended.out) == (3, "")
    assert ended.err.startswith("lapidicom: another operator is at the dead letters")
    assert ids(amqp_url, DEAD_LETTER_QUEUE) == buried


def test_a_consumer_that_knows_no_lock_is_told_of_too(amqp_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lapidicom.cli.dead_letters.reading.SETTLE_SECONDS", 0.1)
    filled(amqp_url, dead_letter(1))

    async def keep(_: object) -> None:
        """Never acknowledged."""

    async def work_meanwhile() -> Ended:
        async with connection(amqp_url, "something else") as link:
            channel = await link.channel()
            queue = await channel.get_queue(DEAD_LETTER_QUEUE)
            await queue.consume(keep)
            return await asyncio.to_thread(in_process, "dlq", "list", AMQP_URL=amqp_url)

    ended = asyncio.run(work_meanwhile())
    assert (ended.status, ended.out) == (3, "")
    assert "something else consumes lapidicom.dead-letters (1 consumers)" in ended.err


def test_two_who_read_the_audit_do_not_see_half_of_it(amqp_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lapidicom.cli.dead_letters.lock.PATIENCE_SECONDS", 0.1)
    bury(amqp_url, [])

    async def read_meanwhile() -> Ended:
        async with connection(amqp_url, "first operator") as link, lock(link, AUDIT_QUEUE):
            return await asyncio.to_thread(in_process, "audit", AMQP_URL=amqp_url)

    ended = asyncio.run(read_meanwhile())
    assert ended.status == 3
    assert "another operator is at the audit" in ended.err


def test_each_act_stands_in_the_audit_before_and_after(amqp_url: str) -> None:
    filled(amqp_url, dead_letter(1), dead_letter(2))
    options = ("--where", "PatientName=DOE*", "--set", "PatientName=ROE", "--because", "spelled wrong")
    ended = replay(amqp_url, *options, "--json")
    replay_id = ended.document["replay"]
    entries: list[dict[str, Any]] = in_process("audit", "--json", AMQP_URL=amqp_url).document["entries"]
    begun, finished = entries
    assert (begun["phase"], finished["phase"]) == ("begun", "ended")
    assert begun["id"] == finished["id"]
    assert (begun["act"], begun["why"]) == ("dlq replay", "spelled wrong")
    assert begun["told"] == {
        "replay": replay_id,
        "selected": 2,
        "edited": ["PatientName"],
        "where": ["PatientName"],
    }
    assert finished["told"] == {"replay": replay_id, "sent": 2, "merged": 0, "returned": 0}
    table = in_process("audit", AMQP_URL=amqp_url)
    assert "ROE" not in table.out
    assert "ROE" in in_process("audit", "--show-phi", AMQP_URL=amqp_url).out
    assert in_process("audit", "--limit", "1", "--json", AMQP_URL=amqp_url).document["entries"] == [finished]
