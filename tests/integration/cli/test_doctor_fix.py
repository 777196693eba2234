"""`lapidicom doctor --fix` by plain AMQP: the missing is declared, what differs is left alone."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aio_pika
import pytest

from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_QUEUE, delay_queue, topology
from tests.support.command import Ended, in_process
from tests.support.dead_letters import bury, dead_letter
from tests.support.queues import look, publish, take_all

SETTINGS = {"CHRIS_RETRY_DELAYS": "1,2", "CHRIS_PARK_DELAY": "1"}
DECLARED = topology((1, 2), 1)
AUDIT_QUEUE = "lapidicom.audit"
QUEUES = "exchanges and queues"


def doctor(url: str, *options: str, **settings: str) -> Ended:
    return in_process("doctor", "--json", *options, AMQP_URL=url, **SETTINGS, **settings)


def topology_checks(ended: Ended) -> dict[str, str]:
    """The failed checks of RabbitMQ, by their names."""
    checks = ended.document["checks"]
    return {
        one["name"]: one["seen"] for one in checks if one["area"] == "RabbitMQ" and one["result"] == "fail"
    }


async def _declare(url: str, queue: str, arguments: Mapping[str, Any]) -> None:
    async with asyncio.timeout(20), await aio_pika.connect(url) as link:
        channel = await link.channel()
        await channel.declare_queue(queue, durable=True, arguments=dict(arguments))
        message = aio_pika.Message(b"kept", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, queue)


async def _delete(url: str, queue: str) -> None:
    async with asyncio.timeout(20), await aio_pika.connect(url) as link:
        await (await link.channel()).queue_delete(queue)


def declare_otherwise(url: str, queue: str, **changes: object) -> None:
    """Declare a queue with other arguments, and a message in it."""
    declared = next(one for one in DECLARED.queues if one.name == queue)
    asyncio.run(_declare(url, queue, declared.arguments | changes))


def test_what_is_missing_is_found_by_a_look_and_declared_by_fix_within_the_audit(
    amqp_url: str, tmp_path: Path
) -> None:
    for _ in range(2):  # the first look has declared nothing
        assert set(topology_checks(doctor(amqp_url))) == {QUEUES}
    log = tmp_path / "audit"
    fixed = doctor(amqp_url, "--fix", "--because", "new host", LAPIDICOM_AUDIT_LOG=str(log))
    assert fixed.status == 0, fixed.out
    assert {one.name for one in DECLARED.queues} <= set(fixed.document["declared"])
    bury(amqp_url, [dead_letter()], delays=(1, 2))  # routed by the bindings that were made
    begun, ended = map(json.loads, log.read_text().splitlines())
    assert (begun["act"], begun["phase"], begun["reason"]) == ("doctor", "begun", "new host")
    assert WORK_QUEUE in begun["what"]
    assert (ended["phase"], ended["id"]) == ("ended", begun["id"])
    again = doctor(amqp_url, "--fix")
    assert again.status == 0
    assert look(amqp_url, DEAD_LETTER_QUEUE).ready == 1


def test_what_differs_is_named_left_as_it_is_and_declared_anew_once_it_is_deleted(amqp_url: str) -> None:
    differing = {
        WORK_QUEUE: ("x-delivery-limit", 5),
        delay_queue(2): ("x-message-ttl", 600_000),
        DEAD_LETTER_QUEUE: ("x-overflow", "drop-head"),
    }
    for queue, (argument, value) in differing.items():
        declare_otherwise(amqp_url, queue, **{argument: value})
    fixed = doctor(amqp_url, "--fix")
    assert fixed.status == 1
    failed = topology_checks(fixed)
    assert set(failed) == set(differing)
    assert all(argument in failed[queue] for queue, (argument, _) in differing.items())
    remedies = {one["remedy"] for one in fixed.document["checks"] if one["name"] in differing}
    assert all(remedy.startswith("docs/runbook.md#a-queue-or-exchange-that-differs") for remedy in remedies)
    assert [look(amqp_url, queue).ready for queue in differing if queue != delay_queue(2)] == [1, 1]
    for queue in differing:
        asyncio.run(_delete(amqp_url, queue))
    assert doctor(amqp_url, "--fix").status == 0


def test_the_steps_of_the_runbook_keep_every_dead_letter(
    amqp_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    declared = next(one for one in DECLARED.queues if one.name == DEAD_LETTER_QUEUE)
    asyncio.run(_declare(amqp_url, DEAD_LETTER_QUEUE, declared.arguments | {"x-max-length": 1000}))
    take_all(amqp_url, DEAD_LETTER_QUEUE)
    letters = [dead_letter(number) for number in range(5)]
    bury(amqp_url, letters, delays=(1, 2))
    runbook = (Path(__file__).parents[3] / "docs/runbook.md").read_text(encoding="utf-8")
    steps = runbook.partition("### The dead letters' queue differs")[2].partition("\n#")[0]
    ours = []
    for step in (line.strip() for line in steps.splitlines() if line.startswith("    ")):
        if step.startswith("rabbitmqctl delete_queue"):
            asyncio.run(_delete(amqp_url, DEAD_LETTER_QUEUE))
        elif step.startswith("lapidicom "):
            ours.append(step.split()[1])
            assert in_process(*step.split()[1:], AMQP_URL=amqp_url, **SETTINGS).status == 0
    assert ours == ["dlq", "doctor", "dlq"]
    taken = take_all(amqp_url, DEAD_LETTER_QUEUE)
    assert [one.headers["lapidicom-id"] for one in taken] == [one.lapidicom_id for one in letters]


def test_queues_of_earlier_versions_are_exported_and_no_dead_letters(amqp_url: str, tmp_path: Path) -> None:
    publish(amqp_url, DECLARED, [])
    asyncio.run(_declare(amqp_url, AUDIT_QUEUE, {"x-queue-type": "quorum"}))
    (seen,) = topology_checks(doctor(amqp_url)).values()
    assert seen == "left over, with 1 messages"
    file = tmp_path / "audit.jsonl"
    exported = in_process("dlq", "export", str(file), "--queue", AUDIT_QUEUE, "--json", AMQP_URL=amqp_url)
    assert (exported.status, exported.document["exported"]) == (0, 1)
    assert json.loads(file.read_text().splitlines()[1])["text"] == "kept"
    assert look(amqp_url, AUDIT_QUEUE).ready == 1
    refused = in_process("dlq", "import", str(file), AMQP_URL=amqp_url)
    assert (refused.status, look(amqp_url, DEAD_LETTER_QUEUE).ready) == (2, 0)


def test_no_command_reads_the_work_queue_or_a_delay_queue(tmp_path: Path) -> None:
    nowhere = "amqp://127.0.0.1:1/v"
    for queue in (WORK_QUEUE, delay_queue(1)):
        ended = in_process("dlq", "export", str(tmp_path / "x"), "--queue", queue, AMQP_URL=nowhere)
        assert ended.status == 2
        assert "cannot be exported" in ended.err


def test_a_broker_that_is_away_fails_its_check_and_shows_no_password() -> None:
    ended = doctor("amqp://user:geheim@127.0.0.1:1/v", "--fix")
    assert ended.status == 1
    assert topology_checks(ended)["reachable"].startswith("amqp://127.0.0.1:1/v: ")
    assert "geheim" not in ended.out + ended.err
