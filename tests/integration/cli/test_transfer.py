"""`dlq export`, `dlq import` and `dlq drop` against a real broker."""

import asyncio
import io
import json
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from pamqp.commands import Basic

from lapidicom.cli.export import Exported, written
from lapidicom.common.broker import connection, declare
from lapidicom.common.messages import HEADER_ID
from lapidicom.common.topology import DEAD_LETTER_EXCHANGE, DEAD_LETTER_QUEUE, WORK_QUEUE, topology
from tests.support.command import Ended, in_process
from tests.support.dead_letters import bury, dead_letter
from tests.support.polling import eventually
from tests.support.queues import look, purge, take_all

STRANGE = {
    "text": "ü",
    "bytes": bytearray(b"\xff\x00"),
    "number": -(2**40),
    "truth": True,
    "real": 1.0,
    "nothing": None,
    "when": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "list": [1, "a", {"$bytes": "no"}],
    "x-death": [{"queue": "lapidicom.registrations", "reason": "delivery_limit", "count": 1}],
}


@pytest.fixture
def amqp_url(amqp_url_of_module: str) -> Iterator[str]:
    """One virtual host for all tests here: its queues are empty when a test begins."""
    bury(amqp_url_of_module, [])
    yield amqp_url_of_module
    purge(amqp_url_of_module, WORK_QUEUE, DEAD_LETTER_QUEUE)


def dlq(url: str, *arguments: str) -> Ended:
    return in_process("dlq", *arguments, AMQP_URL=url)


def publish(url: str, *messages: aio_pika.Message) -> None:
    async def send() -> None:
        async with connection(url, "test") as link:
            await declare(link, topology([1], 1))
            channel = await link.channel()
            exchange = await channel.get_exchange(DEAD_LETTER_EXCHANGE)
            for message in messages:
                await exchange.publish(message, "some.key")

    asyncio.run(send())
    eventually(lambda: look(url, DEAD_LETTER_QUEUE).ready == len(messages), 20, every=0.1)


def seen(message: Any) -> dict[str, Any]:
    """All that a message carries but what the broker adds to a delivery."""
    fields = {name: getattr(message, name) for name in aio_pika.Message.__slots__ if not name.startswith("_")}
    fields["headers"] = {name: value for name, value in message.headers.items() if name != "x-delivery-count"}
    return fields | {"routing_key": message.routing_key, "body": message.body}


def test_exported_and_imported_messages_are_exactly_what_they_were(amqp_url: str, tmp_path: Path) -> None:
    file = tmp_path / "letters.jsonl"
    publish(
        amqp_url,
        aio_pika.Message(
            b"\xff\xfe",
            headers=STRANGE,
            content_type="a/b",
            content_encoding="c",
            priority=3,
            correlation_id="d",
            reply_to="e",
            message_id="same",
            timestamp=datetime(2026, 1, 2, tzinfo=UTC),
            type="f",
            app_id="g",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        ),
        aio_pika.Message('{"ü":1}\n'.encode(), message_id="same"),
    )
    assert dlq(amqp_url, "export", str(file)).status == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert look(amqp_url, DEAD_LETTER_QUEUE).ready == 2
    before = [seen(message) for message in take_all(amqp_url, DEAD_LETTER_QUEUE)]
    assert dlq(amqp_url, "import", str(file), "--dry-run", "--json").document["imported"] == 0
    assert dlq(amqp_url, "import", str(file), "--json").document["imported"] == 2
    assert [seen(message) for message in take_all(amqp_url, DEAD_LETTER_QUEUE)] == before


def test_what_would_make_an_imported_letter_vanish_is_left_out(amqp_url: str, tmp_path: Path) -> None:
    file = tmp_path / "letters.jsonl"
    publish(amqp_url, aio_pika.Message(b"{}", message_id="m", expiration=3600))
    dlq(amqp_url, "export", str(file))
    take_all(amqp_url, DEAD_LETTER_QUEUE)
    dlq(amqp_url, "import", str(file))
    (message,) = take_all(amqp_url, DEAD_LETTER_QUEUE)
    assert message.expiration is None


def test_an_export_never_replaces_a_file_and_leaves_nothing_half(amqp_url: str, tmp_path: Path) -> None:
    file = tmp_path / "letters.jsonl"
    file.write_text("precious")
    bury(amqp_url, [dead_letter(1)])
    ended = dlq(amqp_url, "export", str(file))
    assert (ended.status, file.read_text()) == (2, "precious")
    assert dlq(amqp_url, "export", str(tmp_path / "none" / "x.jsonl")).status == 2
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[1:], "does not say that it is an export"),
        (lambda lines: [lines[0].replace('"version": 2', '"version": 3'), *lines[1:]], "of version 3"),
        (lambda lines: lines[:-1], "it was cut"),
        (lambda lines: [lines[0], lines[1], lines[-1]], "should hold 2 messages and holds 1"),
        (lambda lines: [*lines, lines[1]], "line 5 stands behind the last one"),
        (lambda lines: [lines[0], lines[1][:-2], *lines[2:]], "line 2 is no JSON"),
        (lambda lines: [lines[0], "{}", *lines[2:]], "line 2 is no message"),
        (
            lambda lines: [lines[0], lines[1].replace('"amqp": "', '"amqp": "?'), *lines[2:]],
            "line 2 is no message",
        ),
        (lambda lines: lines[:0], "line 1 is no JSON"),
    ],
)
def test_what_is_no_whole_export_is_refused_before_anything_is_imported(
    change: Any, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "letters.jsonl"
    with written(file) as add:
        for _ in range(2):
            add(Exported.of("k", b"{}", Basic.Properties(timestamp=datetime.now(UTC))))
    file.write_text("\n".join(change(file.read_text().splitlines())))
    ended = dlq("amqp://nobody:nothing@127.0.0.1:1/none", "import", str(file))
    assert ended.status == 2
    assert said in ended.err


def test_dropped_letters_are_in_the_export_and_the_rest_keeps_its_order(
    amqp_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "dropped.jsonl"
    letters = [dead_letter(number, "file-missing" if number % 2 else "refused: x") for number in range(1, 13)]
    bury(amqp_url, letters)
    ended = dlq(amqp_url, "drop", "--reason", "file-missing", "--export", str(file), "--yes")
    assert ended.status == 0
    assert "6 of 12 dead letters will be dropped" in ended.out
    assert "6 of 6 dropped" in ended.out
    kept = [message.headers[HEADER_ID] for message in take_all(amqp_url, DEAD_LETTER_QUEUE)]
    assert kept == [letter.lapidicom_id for letter in letters[1::2]]
    dlq(amqp_url, "import", str(file))
    back = [message.headers[HEADER_ID] for message in take_all(amqp_url, DEAD_LETTER_QUEUE)]
    assert back == [letter.lapidicom_id for letter in letters[::2]]


class Terminal(io.StringIO):
    """Standard input at which somebody sits."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "status", "left"), [("y\n", 0, 1), ("n\n", 1, 2), ("", 1, 2)])
def test_a_drop_asks_at_a_terminal(
    amqp_url: str, answer: str, status: int, left: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "audit"
    bury(amqp_url, [dead_letter(1, "file-missing"), dead_letter(2, "refused: x")])
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    options = ("--reason", "file-missing", "--no-export", "--because", "gone")
    ended = in_process("dlq", "drop", *options, AMQP_URL=amqp_url, LAPIDICOM_AUDIT_LOG=str(log))
    assert ended.status == status
    assert "Drop these 1 for good?" in ended.err
    assert "DOE" not in ended.out
    assert look(amqp_url, DEAD_LETTER_QUEUE).ready == left
    begun, ended_line = map(json.loads, log.read_text().splitlines())
    assert (begun["act"], begun["phase"], begun["reason"]) == ("dlq drop", "begun", "gone")
    assert (ended_line["phase"], ended_line.get("dropped")) == ("ended", 2 - left or None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--no-export", "--yes"), "nothing says which dead letters"),
        (("--reason", "x", "--yes"), "nothing says whether to keep a copy"),
        (("--reason", "x", "--no-export", "--export", "f", "--yes"), "or both do"),
        (("--reason", "x", "--no-export"), "nobody can be asked"),
    ],
)
def test_a_drop_that_does_not_say_all_is_refused(options: tuple[str, ...], said: str) -> None:
    ended = dlq("amqp://nobody:nothing@127.0.0.1:1/none", "drop", *options)
    assert ended.status == 2
    assert said in ended.err
