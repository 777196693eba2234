"""`dlq replay` against a real broker: what is sent, what is left, and what is told. Nobody consumes here."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lapidicom.cli import cube as asking
from lapidicom.cli import replay_plan as headers
from lapidicom.cli.dead_letters import lock
from lapidicom.cli.heal.register import message_of
from lapidicom.common.broker import Envelope, connection
from lapidicom.common.messages import HEADER_ID, HEADER_VERSION
from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_QUEUE
from lapidicom.registrar.consumer import headers as told
from tests.support.command import Ended, in_process
from tests.support.dead_letters import bury, dead_letter
from tests.support.healing import URL, SeriesToHeal
from tests.support.polling import eventually
from tests.support.queues import look, purge, take_all


@pytest.fixture
def amqp_url(amqp_url_of_module: str) -> Iterator[str]:
    """One virtual host for all tests here: its queues are empty when a test begins."""
    bury(amqp_url_of_module, [])
    yield amqp_url_of_module
    purge(amqp_url_of_module, WORK_QUEUE, DEAD_LETTER_QUEUE)


def replay(url: str, *options: str) -> Ended:
    return in_process("dlq", "replay", *options, AMQP_URL=url)


def ids(url: str, queue: str) -> list[str]:
    """Take all out, and tell their ids."""
    return [message.headers[HEADER_ID] for message in take_all(url, queue)]


def left(url: str, count: int) -> list[str]:
    """The ids of so many dead letters, once all that a command has given back are ready again."""
    eventually(lambda: look(url, DEAD_LETTER_QUEUE).ready == count, 20, every=0.1)
    return ids(url, DEAD_LETTER_QUEUE)


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
    assert now.pop(headers.REPLAYED_AT) > str(first)
    assert {name: value for name, value in now.items() if not name.startswith("x-")} == {
        HEADER_ID: before.lapidicom_id,
        HEADER_VERSION: 1,
        "traceparent": "00-1-2-01",
        "site": 7,
        headers.REPLAY: ended.document["replay"],
        headers.REPLAYS: 1,
        headers.FORMER_REASON: "refused: StudyDate",
        headers.FORMER_STATUS: 400,
        headers.FORMER_ATTEMPTS: 4,
    }
    assert look(amqp_url, DEAD_LETTER_QUEUE).ready == 0


def test_only_what_the_filters_mean_is_replayed_and_the_rest_keeps_its_order(amqp_url: str) -> None:
    letters = [
        dead_letter(number, "file-missing" if number % 3 else "refused: path") for number in range(1, 31)
    ]
    buried = filled(amqp_url, *letters)
    ended = replay(amqp_url, "--reason", "refused", "--first", "8")
    assert ended.status == 0
    assert "8 of 30 dead letters" in ended.out
    meant = buried[2::3][:8]
    assert ids(amqp_url, WORK_QUEUE) == meant
    rest = [name for name in buried if name not in meant]
    assert left(amqp_url, len(rest)) == rest


def test_more_letters_than_may_be_held_are_passed_over_and_keep_their_order(
    amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lapidicom.cli.replaying.HELD", 10)
    monkeypatch.setattr("lapidicom.cli.queues.MOST_HELD", 7)
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
    monkeypatch.setattr("lapidicom.cli.replaying.HELD", 10)
    buried = filled(amqp_url, *map(dead_letter, range(1, 61)))
    assert replay(amqp_url, "--all", "--first", "3").status == 0
    assert ids(amqp_url, WORK_QUEUE) == buried[:3]
    assert left(amqp_url, 57) == buried[3:]


def test_letters_that_are_held_for_long_are_given_back_and_taken_again(
    amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lapidicom.cli.replaying.LOOK_SECONDS", 0.0)
    monkeypatch.setattr("lapidicom.cli.replaying.HELD_SECONDS", 0.0)
    letters = [
        dead_letter(number, "file-missing" if number % 3 else "refused: path") for number in range(1, 21)
    ]
    buried = filled(amqp_url, *letters)
    ended = replay(amqp_url, "--reason", "file-missing", "--reason", "refused: StudyDate", "--json")
    assert (ended.status, ended.document["sent"]) == (0, 14)
    assert ids(amqp_url, WORK_QUEUE) == [name for number, name in enumerate(buried, 1) if number % 3]
    assert left(amqp_url, len(buried[2::3])) == buried[2::3]


def test_a_dry_run_tells_and_does_nothing(amqp_url: str) -> None:
    buried = filled(amqp_url, dead_letter(1), dead_letter(2, "file-missing"))
    ended = replay(amqp_url, "--all", "--dry-run")
    assert ended.status == 0
    assert "2 of 2 dead letters would be replayed" in ended.out
    assert look(amqp_url, WORK_QUEUE).ready == 0
    assert left(amqp_url, len(buried)) == buried


def test_an_edit_changes_the_field_and_nothing_else(amqp_url: str) -> None:
    body = json.loads(dead_letter(1).body) | {"later": [1, {"ü": None}]}
    filled(amqp_url, dead_letter(1, body=json.dumps(body).encode()), dead_letter(2, Modality="OT"))
    ended = replay(amqp_url, "--all", "--set", "Modality=OT", "--unset", "PatientName")
    assert ended.status == 0
    assert "DOE" not in ended.out
    assert re.search(r"^ +edited +2$", ended.out, re.MULTILINE)
    first, second = take_all(amqp_url, WORK_QUEUE)
    assert json.loads(first.body) == body | {"Modality": "OT", "PatientName": None}
    assert first.headers[headers.EDITED] == "Modality,PatientName"
    assert second.headers[headers.EDITED] == "PatientName"


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
        (("--all", "--set", "Modality"), "'Modality' is not of its form"),
        (("--all", "--unset", "Modality", "--set", "Modality=MR"), "edited twice"),
        (("--all", "--rate", "fast"), "'fast' is no rate"),
        (("--all", "--canary", "1"), "set CHRIS_URL"),
        (("--all", "--wait"), "set CHRIS_URL"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_asked(options: tuple[str, ...], said: str) -> None:
    ended = replay("amqp://nobody:nothing@127.0.0.1:1/none", *options)
    assert ended.status == 2
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize(
    "command",
    [
        ("dlq", "list"),
        ("dlq", "replay", "--all"),
        ("dlq", "drop", "--reason", "x", "--no-export", "--yes"),
        ("dlq", "export", "new.jsonl"),
    ],
    ids=lambda command: command[1],
)
def test_a_second_operator_is_told_of_the_first_and_sees_no_empty_list(
    amqp_url: str, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lapidicom.cli.dead_letters.PATIENCE_SECONDS", 0.1)
    buried = filled(amqp_url, dead_letter(1))

    async def work_meanwhile() -> Ended:
        async with connection(amqp_url, "first operator") as link, lock(link):
            return await asyncio.to_thread(in_process, *command, AMQP_URL=amqp_url)

    ended = asyncio.run(work_meanwhile())
    assert (ended.status, ended.out) == (3, "")
    assert ended.err.startswith("lapidicom: another operator is at the dead letters")
    assert left(amqp_url, len(buried)) == buried


def test_a_consumer_that_knows_no_lock_is_told_of_too(amqp_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lapidicom.cli.dead_letters.SETTLE_SECONDS", 0.1)
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


def test_each_act_stands_in_the_audit_before_and_after_without_patient_data(
    amqp_url: str, tmp_path: Path
) -> None:
    filled(amqp_url, dead_letter(1), dead_letter(2))
    log = tmp_path / "audit"
    options = ("--where", "PatientName=DOE*", "--set", "PatientName=ROE", "--because", "spelled wrong")
    ended = in_process("dlq", "replay", *options, "--json", AMQP_URL=amqp_url, LAPIDICOM_AUDIT_LOG=str(log))
    begun, finished = map(json.loads, log.read_text().splitlines())
    assert (begun["phase"], finished["phase"]) == ("begun", "ended")
    assert begun["id"] == finished["id"]
    assert (begun["act"], begun["reason"], begun["count"]) == ("dlq replay", "spelled wrong", 2)
    assert begun["what"] == "--where PatientName=*** --set PatientName"
    assert (finished["replay"], finished["sent"]) == (ended.document["replay"], 2)
    assert not {"DOE", "ROE"} & set(log.read_text().replace("*", " ").replace('"', " ").split())


def test_an_act_that_cannot_be_written_down_is_not_begun(amqp_url: str, tmp_path: Path) -> None:
    buried = filled(amqp_url, dead_letter(1))
    ended = in_process("dlq", "replay", "--all", AMQP_URL=amqp_url, LAPIDICOM_AUDIT_LOG=str(tmp_path / "x/y"))
    assert ended.status == 2
    assert "not begun: the audit log" in ended.err
    assert left(amqp_url, len(buried)) == buried


def test_of_cube_6_a_series_is_waited_for_until_it_has_the_files_that_the_message_tells_of(
    amqp_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = SeriesToHeal(tmp_path)
    monkeypatch.setattr(asking, "transport_to_cube", lambda _: httpx.ASGITransport(series.app))
    account = {"CHRIS_URL": URL, "CHRIS_USERNAME": "chris", "CHRIS_PASSWORD": "chris1234"}
    assert series.arrive()
    settling = message_of(series.root, series.folder, series.uid)

    def replayed(reason: str, **told: int) -> tuple[int, int, int]:
        filled(amqp_url, dead_letter(reason=reason, message=settling.model_copy(update=told)))
        waits = ("--all", "--wait", "--wait-seconds", "0", "--json")
        ended = in_process("dlq", "replay", *waits, AMQP_URL=amqp_url, **account).document
        return ended["registered"], ended["waiting"], ended["register_nothing"]

    assert replayed("files-missing", files=1) == (0, 1, 0)
    assert series.register() == 201
    assert replayed("files-missing", files=1) == (1, 0, 0)
    assert series.arrive()
    assert replayed("late-instances", files=1, count=2) == (0, 1, 0)
