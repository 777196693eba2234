"""`lapidicom topology` by plain AMQP: the missing is declared without loss, what differs is left alone."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aio_pika
import pytest

from lapidicom.common.topology import AUDIT_QUEUE, DEAD_LETTER_QUEUE, WORK_QUEUE, delay_queue, topology
from tests.support.command import Ended, in_process, lapidicom
from tests.support.dead_letters import bury, dead_letter
from tests.support.queues import look, publish, take_all

SETTINGS = {"CHRIS_RETRY_DELAYS": "1,2", "CHRIS_PARK_DELAY": "1"}
DECLARED = topology((1, 2), 1)


def run(url: str, *arguments: str) -> Ended:
    return in_process("topology", *arguments, AMQP_URL=url, **SETTINGS)


def states(ended: Ended) -> dict[str, str]:
    return {row["name"]: row["state"] for row in ended.document["rows"] if row["kind"] != "binding"}


async def _declare(url: str, queue: str, arguments: Mapping[str, Any]) -> None:
    async with asyncio.timeout(20), await aio_pika.connect(url) as link:
        await (await link.channel()).declare_queue(queue, durable=True, arguments=dict(arguments))


async def _delete(url: str, queue: str) -> None:
    async with asyncio.timeout(20), await aio_pika.connect(url) as link:
        await (await link.channel()).queue_delete(queue)


async def _put(url: str, queue: str) -> None:
    async with asyncio.timeout(20), await aio_pika.connect(url) as link:
        channel = await link.channel()
        message = aio_pika.Message(b"kept", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, queue)


def declare_otherwise(url: str, queue: str, **changes: object) -> None:
    """Declare a queue with other arguments, and a message in it."""
    declared = next(one for one in DECLARED.queues if one.name == queue)
    asyncio.run(_declare(url, queue, declared.arguments | changes))
    asyncio.run(_put(url, queue))


def delete(url: str, queue: str) -> None:
    asyncio.run(_delete(url, queue))


def test_a_check_of_an_empty_virtual_host_finds_all_missing_and_declares_nothing(amqp_url: str) -> None:
    for _ in range(2):
        check = run(amqp_url, "check", "--json")
        assert check.status == 1
        assert set(states(check).values()) == {"missing"}
    assert check.document["not_visible"] == {
        "bindings": "AMQP_MANAGEMENT_URL is not set",
        "policies": "AMQP_MANAGEMENT_URL is not set",
    }


def test_a_dry_run_says_what_it_would_declare_and_declares_nothing(amqp_url: str) -> None:
    assert f"would declare {WORK_QUEUE}" in run(amqp_url, "apply", "--dry-run").lines
    assert set(states(run(amqp_url, "check", "--json")).values()) == {"missing"}


def test_apply_declares_what_the_services_declare_and_tells_the_audit(amqp_url: str) -> None:
    applied = lapidicom("topology", "apply", "--because", "new host", "--json", AMQP_URL=amqp_url, **SETTINGS)
    assert "operator_act" in applied.err
    assert applied.status == 0
    assert [one["name"] for one in applied.document["declared"]["queues"]] == [
        one.name for one in DECLARED.queues
    ]
    check = run(amqp_url, "check", "--json")
    assert check.status == 0
    assert check.document["sound"] is True
    assert set(states(check).values()) == {"equal"}
    bury(amqp_url, [dead_letter()], delays=(1, 2))  # routed by the bindings that were made
    assert look(amqp_url, DEAD_LETTER_QUEUE).ready == 1
    begun, ended = (json.loads(message.body) for message in take_all(amqp_url, AUDIT_QUEUE))
    assert (begun["act"], begun["phase"], begun["why"]) == ("topology apply", "begun", "new host")
    assert (ended["phase"], ended["id"]) == ("ended", begun["id"])
    assert WORK_QUEUE in begun["told"]["missing"]


def test_applying_again_changes_nothing(amqp_url: str) -> None:
    publish(amqp_url, DECLARED, [])
    bury(amqp_url, [dead_letter(number) for number in range(3)], delays=(1, 2))
    applied = run(amqp_url, "apply")
    assert applied.status == 0
    assert "nothing is missing" in applied.lines
    assert look(amqp_url, DEAD_LETTER_QUEUE).ready == 3


@pytest.mark.parametrize(
    ("queue", "changes", "told"),
    [
        (WORK_QUEUE, {"x-delivery-limit": 5}, "x-delivery-limit"),
        (delay_queue(2), {"x-message-ttl": 600_000}, "x-message-ttl"),
        (DEAD_LETTER_QUEUE, {"x-overflow": "drop-head"}, "x-overflow"),
    ],
)
def test_what_differs_is_named_left_as_it_is_and_replaced_by_the_steps_that_are_told(
    amqp_url: str, queue: str, changes: dict[str, object], told: str
) -> None:
    declare_otherwise(amqp_url, queue, **changes)
    check = run(amqp_url, "check", "--json")
    assert check.status == 1
    (row,) = [row for row in check.document["rows"] if row["state"] == "different"]
    assert row["name"] == queue
    assert told in row["told"]
    assert "lapidicom topology apply" in row["steps"]
    applied = run(amqp_url, "apply")
    assert applied.status == 1
    assert f"queue {queue} differs" in applied.out
    assert "rabbitmqctl delete_queue --vhost" in applied.out
    assert look(amqp_url, queue).ready == 1
    delete(amqp_url, queue)
    assert run(amqp_url, "apply").status == 0
    assert run(amqp_url, "check").status == 0


def test_the_steps_for_the_dead_letters_keep_every_one_of_them(
    amqp_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    declared = next(one for one in DECLARED.queues if one.name == DEAD_LETTER_QUEUE)
    asyncio.run(_declare(amqp_url, DEAD_LETTER_QUEUE, declared.arguments | {"x-max-length": 1000}))
    letters = [dead_letter(number) for number in range(5)]
    bury(amqp_url, letters, delays=(1, 2))
    (row,) = [one for one in run(amqp_url, "check", "--json").document["rows"] if one["state"] == "different"]
    done = []
    for step in row["steps"]:
        if step.startswith("rabbitmqctl delete_queue"):
            delete(amqp_url, DEAD_LETTER_QUEUE)
        elif step.startswith("lapidicom "):
            done.append(step)
            assert in_process(*step.split()[1:], AMQP_URL=amqp_url, **SETTINGS).status == 0
    assert [step.split()[1] for step in done] == ["dlq", "topology", "dlq"]
    assert run(amqp_url, "check").status == 0
    taken = take_all(amqp_url, DEAD_LETTER_QUEUE)
    assert [one.headers["lapidicom-id"] for one in taken] == [one.lapidicom_id for one in letters]


def test_show_asks_nobody_and_tells_what_the_services_declare() -> None:
    shown = in_process("topology", "show", "--json", **SETTINGS)
    assert shown.status == 0
    assert [one["arguments"] for one in shown.document["queues"]] == [
        one.arguments for one in DECLARED.queues
    ]
    assert len(shown.document["bindings"]) == len(DECLARED.bindings)
    text = in_process("topology", "show", **SETTINGS).out
    assert "x-delivery-limit=2147483647" in text


def test_a_broker_that_is_away_is_one_line_and_status_2() -> None:
    ended = in_process("topology", "check", AMQP_URL="amqp://user:geheim@127.0.0.1:1/v")
    assert ended.status == 2
    assert ended.err.startswith("lapidicom: RabbitMQ at amqp://127.0.0.1:1/v: ")
    assert len(ended.err.splitlines()) == 1
    assert "geheim" not in ended.err
