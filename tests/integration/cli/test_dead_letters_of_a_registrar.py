"""What a real registrar and a real broker gave up, as `lapidicom dlq` tells it."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import aio_pika
import pytest

from lapidicom.cli.causes import CAUSES
from lapidicom.common.broker import Envelope
from lapidicom.common.messages import InstanceStored
from lapidicom.common.topology import (
    DEAD_LETTER_EXCHANGE,
    DEAD_LETTER_QUEUE,
    EXCHANGE,
    WORK_DELIVERY_LIMIT,
    WORK_QUEUE,
    topology,
)
from tests.support.command import in_process
from tests.support.dead_letters import dead_letter
from tests.support.polling import eventually
from tests.support.queues import envelope, look, publish
from tests.support.stored import instance_stored, store
from tests.support.whole_path import WholePath

DECLARED = topology([1], 1)

OF_SERIES = {
    *("count-differs", "files-missing", "late-instances", "other-folder", "half-registered"),
    "registers-files",
}
"""No message asks for the registration of a whole series yet."""

NOT_MADE_HERE = OF_SERIES | {
    "internal-error",
    "refused-on-the-way",
    "not_yet_visible",
    "file_not_visible",
    "pacs_exists",
}
"""It takes a fault of the registrar's own, an hour, or CUBE's race lost again and again."""


class OnCall(WholePath):
    """A broker with dead letters of every kind, for the operator who looks at them."""

    dead = 0

    def give_up(self, *envelopes: Envelope) -> None:
        """Publish, and wait until all are dead letters."""
        publish(self.amqp_url, DECLARED, envelopes)
        self.wait_for_more(len(envelopes))

    def wait_for_more(self, count: int) -> None:
        """Wait until so many more are dead letters."""
        self.dead += count
        eventually(lambda: look(self.amqp_url, DEAD_LETTER_QUEUE).ready == self.dead, 30, what="dead letters")


def _letter(number: int, message: InstanceStored) -> Envelope:
    return envelope(message, f"life.{number}")


def _fail(on_call: OnCall, *envelopes: Envelope, status: int, cut: bool = False, body: str = "") -> None:
    on_call.cube.control.fail(status, body, content_type="text/html", cut=cut, path_contains="SERVICES/PACS")
    on_call.give_up(*envelopes)
    on_call.cube.control.heal()


async def _reach_the_delivery_limit(url: str) -> None:
    """Take one message and give it back until the broker gives it up."""
    async with asyncio.timeout(30), await aio_pika.connect(url) as link:
        channel = await link.channel()
        queue = await channel.get_queue(WORK_QUEUE)
        for _ in range(WORK_DELIVERY_LIMIT + 1):
            while (message := await queue.get(fail=False)) is None:
                await asyncio.sleep(0.02)
            await message.reject(requeue=True)


async def _publish_with_a_lifetime(url: str, sent: Envelope) -> None:
    async with asyncio.timeout(30), await aio_pika.connect(url) as link:
        channel = await link.channel()
        exchange = await channel.get_exchange(EXCHANGE)
        message = aio_pika.Message(
            sent.body,
            type=sent.type,
            headers={"lapidicom-id": sent.lapidicom_id, "lapidicom-version": sent.version},
            expiration=0.001,
        )
        await exchange.publish(message, WORK_QUEUE)


@pytest.fixture(scope="module")
def on_call(amqp_url_of_module: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnCall]:
    with OnCall(tmp_path_factory.mktemp("on call"), amqp_url_of_module) as made:
        root = made.files_root
        publish(made.amqp_url, DECLARED, [_letter(1, store(root, instance_stored(1)))])
        asyncio.run(_reach_the_delivery_limit(made.amqp_url))
        asyncio.run(_publish_with_a_lifetime(made.amqp_url, _letter(2, store(root, instance_stored(2)))))
        made.wait_for_more(2)
        registrar = made.registrar(CHRIS_HTTP_RETRIES="0")
        made.give_up(
            _letter(3, store(root, instance_stored(3, StudyDate="20249999", PatientName="ROE^RICHARD"))),
            _letter(4, instance_stored(4)),
            _letter(5, store(root, instance_stored(5, PatientID="p" * 101))),
            replace(dead_letter(6, "unknown-type", None, "", life="life"), type="InstanceSeen"),
            replace(dead_letter(7, "unsupported-version", None, "", life="life"), version=0),
            replace(_letter(8, instance_stored(8)), body=b'{"PatientName": "ROE^RICHARD'),
            Envelope(DEAD_LETTER_EXCHANGE, WORK_QUEUE, "", 0, "", b"from elsewhere"),
        )
        lost = [_letter(number, store(root, instance_stored(number))) for number in (9, 10)]
        _fail(made, *lost, status=500, body="<title>Server Error (500)</title>")
        _fail(made, _letter(11, store(root, instance_stored(11))), status=418)
        _fail(
            made,
            _letter(12, store(root, instance_stored(12))),
            status=500,
            cut=True,
        )
        assert registrar.stop() == 0
        yield made


def test_every_reason_is_told_with_its_meaning_and_a_remedy(on_call: OnCall) -> None:
    document = on_call.command("dlq", "list", "--group-by", "reason", "--json").document
    assert (document["total"], document["matching"]) == (13, 13)
    found = {group["key"].partition(":")[0].partition(" ")[0] for group in document["groups"]}
    named = {"http_*" if reason == "http_418" else reason for reason in found}
    assert named == {cause.reason for cause in CAUSES} - NOT_MADE_HERE
    assert all("`lapidicom " in group["remedy"] for group in document["groups"])


def test_the_list_tells_one_line_each_and_the_oldest_first(on_call: OnCall) -> None:
    ended = on_call.command("dlq", "list")
    assert (ended.status, ended.err) == (0, "")
    head, *rows = ended.lines
    assert head.split() == ["id", "age", "reason", "HTTP", "attempts", "pacs", "series", "instance"]
    assert [row.split()[0] for row in rows[:2]] == ["life.1", "life.2"]
    assert len(rows) == 13
    (refused,) = (row for row in rows if row.startswith("life.3 "))
    assert re.search(r"refused: StudyDate +400 +1 +ORTHANC +1\.2\.3\.4 +1\.2\.826\.\S+\.3$", refused)


def test_filters_and_limit_choose_what_is_shown(on_call: OnCall) -> None:
    def ids(*options: str) -> list[str]:
        letters = on_call.command("dlq", "list", "--json", *options).document["dead_letters"]
        return [letter["id"] for letter in letters]

    assert sorted(ids("--reason", "http_500")) == ["life.10", "life.9"]
    of_statuses = ("--status", "418", "--status", "500")
    assert ids(*of_statuses, "--limit", "2") == ids(*of_statuses)[:2]
    assert ids("--id", "life.1") == ["life.1"]
    assert ids("--where", "PatientName=ROE*") == ["life.3"]
    assert ids("--since", "1h", "--pacs", "NOBODY") == []
    assert on_call.command("dlq", "list", "--pacs", "NOBODY").status == 0


@pytest.mark.parametrize("number", [3, 8, 12])
def test_no_patient_data_is_shown_unless_it_is_asked_for(on_call: OnCall, number: int) -> None:
    values = ("ROE", "RICHARD", "DOE", "JANE", "20240102", "20249999")
    runs = [
        on_call.command("dlq", "show", f"life.{number}"),
        on_call.command("dlq", "show", f"life.{number}", "--json"),
        on_call.command("dlq", "list"),
        on_call.command("dlq", "list", "--json"),
        on_call.command("dlq", "list", "--group-by", "reason", "--json"),
    ]
    assert [value for value in values if any(value in run.out + run.err for run in runs)] == []


def test_patient_data_is_shown_when_it_is_asked_for(on_call: OnCall) -> None:
    shown = on_call.command("dlq", "show", "life.3", "--show-phi").out
    assert "ROE^RICHARD" in shown
    assert '{"StudyDate":["' in shown
    assert "20249999" in on_call.command("dlq", "list", "--show-phi", "--id", "life.3").out
    letter = on_call.command("dlq", "list", "--show-phi", "--json", "--id", "life.3").document[
        "dead_letters"
    ][0]
    assert (letter["PatientID"], letter["StudyDate"]) == ("p", "20249999")


def test_show_tells_whether_the_file_is_on_the_volume_or_cannot_be_seen(
    on_call: OnCall, tmp_path: Path
) -> None:
    def seen(number: int, **settings: str) -> str:
        found: str = on_call.command("dlq", "show", f"life.{number}", "--json", **settings).document["file"]
        return found

    assert seen(3) == "on the volume"
    assert seen(4) == "not on the volume"
    assert seen(8) == "the message names no path below SERVICES/PACS"
    assert seen(3, CHRIS_FILES_ROOT="") == "not visible from here"
    assert seen(3, CHRIS_FILES_ROOT=str(tmp_path)) == "not visible from here"


def test_show_tells_history_answer_and_what_to_do(on_call: OnCall) -> None:
    ended = on_call.command("dlq", "show", "life.9")
    assert ended.status == 0
    for line in (
        "http_500",
        "Server Error (500)",
        "attempts",
        "lapidicom dlq replay",
        "docs/runbook.md#http_500",
    ):
        assert line in ended.out


def test_show_says_what_it_cannot_find_or_cannot_tell_apart(on_call: OnCall) -> None:
    missing = on_call.command("dlq", "show", "life.99")
    assert (missing.status, missing.out) == (1, "")
    assert "no dead letter 'life.99': `lapidicom dlq list`" in missing.err
    several = on_call.command("dlq", "show", "life")
    assert (several.status, several.out) == (1, "")
    assert "12 dead letters begin with 'life': give more of the id, such as life.1, " in several.err


def test_looking_leaves_every_dead_letter_in_its_place(on_call: OnCall) -> None:
    before = on_call.command("dlq", "list", "--json").document["dead_letters"]
    for command in (["list"], ["list", "--group-by", "hour"], ["show", "life.3"], ["list", "--limit", "1"]):
        assert on_call.command("dlq", *command).status == 0
    assert on_call.command("dlq", "list", "--json").document["dead_letters"] == before


def test_a_broker_that_is_not_there_is_one_line_and_status_2() -> None:
    ended = in_process("dlq", "list", AMQP_URL="amqp://who:secret@127.0.0.1:1/")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("lapidicom: RabbitMQ at amqp://127.0.0.1:1/: ")
    assert ended.err.count("\n") == 1
    assert "secret" not in ended.err
