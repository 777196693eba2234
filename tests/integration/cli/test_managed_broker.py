"""What status and doctor see by RabbitMQ's management API, on a node of their own that has it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import aio_pika
import httpx
import pytest

from lapidicom.cli.dead_letters import lock, walk
from lapidicom.common.broker import Envelope, connection
from lapidicom.common.topology import (
    DEAD_LETTER_QUEUE,
    EXCHANGE,
    WORK_QUEUE,
    delay_queue,
    topology,
)
from tests.support import requirements
from tests.support.broker import PASSWORD, USER
from tests.support.command import Ended, in_process
from tests.support.dead_letters import bury, dead_letter
from tests.support.polling import eventually
from tests.support.queues import publish
from tests.support.rabbitmq import MISSING
from tests.support.rabbitmq_node import LocalBroker, server_script

DECLARED = topology((1,), 1)


@pytest.fixture(scope="module")
def node() -> Iterator[LocalBroker]:
    """A node with the management API."""
    if server_script() is None:
        requirements.missing(MISSING)
    with LocalBroker(8, management=True) as broker:
        yield broker


class Managed:
    """A virtual host of the node, and its administrator."""

    def __init__(self, node: LocalBroker) -> None:
        self.vhost = node.fresh_vhost()
        self.url = node.url(self.vhost)
        self.management_url = node.management_url
        self.api = httpx.Client(base_url=f"{node.management_url}/api/", timeout=10)
        publish(self.url, DECLARED, [])

    def run(self, *arguments: str, **settings: str) -> Ended:
        """Run the command with the API."""
        delays = {"CHRIS_RETRY_DELAYS": "1", "CHRIS_PARK_DELAY": "1"}
        given = {"AMQP_URL": self.url, "AMQP_MANAGEMENT_URL": self.management_url, **delays, **settings}
        return in_process(*arguments, **given)

    def checks(self, *options: str, **settings: str) -> dict[str, dict[str, str]]:
        """What the doctor says of RabbitMQ, by name; of several of one name the first."""
        found = self.run("doctor", "--json", *options, **settings).document["checks"]
        return {one["name"]: one for one in reversed(found) if one["area"] == "RabbitMQ"}

    def status(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What status sees, by area and name."""
        found = self.run("status", "--json").document["checks"]
        return {(one["area"], one["name"]): one for one in found}

    def failed(self, *options: str, **settings: str) -> list[str]:
        """What the doctor says of each check of RabbitMQ that fails."""
        found = self.run("doctor", "--json", *options, **settings).document["checks"]
        return [one["seen"] for one in found if one["area"] == "RabbitMQ" and one["result"] == "fail"]

    def put(self, path: str, **body: object) -> None:
        """Make something."""
        assert self.api.put(path, json=body).is_success

    def delete(self, path: str) -> None:
        """Remove something."""
        assert self.api.delete(path).is_success


@pytest.fixture
def managed(node: LocalBroker) -> Iterator[Managed]:
    """A fresh virtual host, in which everything is declared."""
    one = Managed(node)
    yield one
    one.api.close()


def test_a_missing_binding_is_seen_and_made_again(managed: Managed) -> None:
    assert managed.failed() == []
    managed.delete(f"bindings/{managed.vhost}/e/{EXCHANGE}/q/{WORK_QUEUE}/{WORK_QUEUE}")
    name = f"{EXCHANGE} -- {WORK_QUEUE} -> {WORK_QUEUE}"
    assert managed.failed() == [f"missing: {name}"]
    fixed = managed.run("doctor", "--fix", "--json")
    assert fixed.document["declared"] == [name]
    assert managed.failed() == []


def test_policies_that_break_a_guarantee_are_told_with_their_reasons(managed: Managed) -> None:
    definition = {"max-length": 3, "overflow": "drop-head"}
    managed.put(
        f"policies/{managed.vhost}/careless",
        pattern="dead-letters$",
        definition=definition,
        **{"apply-to": "queues"},
    )
    managed.put(
        f"operator-policies/{managed.vhost}/strict",
        pattern=f"^{WORK_QUEUE}$",
        definition={"delivery-limit": 2},
        **{"apply-to": "queues"},
    )

    def in_effect() -> set[str] | None:
        found = {one.partition(":")[0] for one in managed.failed()}
        return found if len(found) == 3 else None

    assert eventually(in_effect, 30, every=0.5, what="RabbitMQ's queues say so, some seconds late") == {
        f"strict sets delivery-limit=2 on {WORK_QUEUE}",
        f"careless sets max-length=3 on {DEAD_LETTER_QUEUE}",
        f"careless sets overflow=drop-head on {DEAD_LETTER_QUEUE}",
    }
    assert "rabbitmqctl clear_operator_policy -p VHOST strict" in managed.run("doctor").out


def test_messages_that_dead_lettering_holds_back_are_seen_though_amqp_counts_none(managed: Managed) -> None:
    managed.delete(f"bindings/{managed.vhost}/e/{EXCHANGE}/q/{WORK_QUEUE}/{WORK_QUEUE}")
    letter = dead_letter()
    bare = Envelope(EXCHANGE, delay_queue(1), letter.type, 1, letter.lapidicom_id, letter.body)
    _publish_only(managed.url, bare)

    def held_back() -> bool:
        return bool(managed.status()["delayed", "held back"]["count"] == 1)

    eventually(held_back, 30, every=0.3, what="the message is seen")
    seen = managed.status()
    assert seen["delayed", "messages"]["count"] == 0
    assert seen["delayed", "held back"]["result"] == "note"
    assert seen["RabbitMQ", "alarms"]["seen"] == "no alarms"


def test_behind_another_operator_dead_letters_are_not_visible(managed: Managed) -> None:
    bury(managed.url, [dead_letter(number) for number in range(3)])

    async def while_somebody_looks() -> dict[str, Any]:
        async with connection(managed.url, "somebody") as link, lock(link), walk(link) as letters:
            async for _ in letters:
                pass
            return (await asyncio.to_thread(managed.status))["dead letters", "messages"]

    seen = asyncio.run(while_somebody_looks())
    assert (seen["result"], seen["seen"]) == ("not visible", "another operator is at the dead letters")
    afterwards = managed.status()["dead letters", "messages"]
    assert (afterwards["count"], afterwards["seen"].partition(" (")[0]) == (
        3,
        "3 dead letters: 3 refused: StudyDate",
    )


def test_what_a_user_may_not_see_is_not_visible_to_the_doctor(managed: Managed) -> None:
    user = f"weak-{managed.vhost}"
    managed.put(f"users/{user}", password="weak", tags="monitoring")
    managed.put(
        f"permissions/{managed.vhost}/{user}", configure="^lapidicom$", write="", read=r"^lapidicom(\..*)?$"
    )
    url = managed.url.replace(f"{USER}:{PASSWORD}", f"{user}:weak")
    management_url = managed.management_url.replace(f"{USER}:{PASSWORD}", f"{user}:weak")
    before = _definitions(managed)
    checks = managed.checks(AMQP_URL=url, AMQP_MANAGEMENT_URL=management_url)
    unseen = {name for name, check in checks.items() if check["result"] == "not visible"}
    assert unseen == {"exchanges and queues", "feature flags"}  # AMQP compares for the rightful only
    assert _definitions(managed) == before


def test_an_administrator_passes_every_check_of_rabbitmq(managed: Managed) -> None:
    before = _definitions(managed)
    checks = managed.run("doctor", "--json").document["checks"]
    assert {check["result"] for check in checks if check["area"] == "RabbitMQ"} == {"pass"}
    assert _definitions(managed) == before


def _definitions(managed: Managed) -> object:
    """Everything that is declared in the virtual host."""
    definitions = managed.api.get(f"definitions/{managed.vhost}").json()
    return {name: definitions[name] for name in ("queues", "exchanges", "bindings")}


def _publish_only(url: str, envelope: Envelope) -> None:
    """Publish without declaring anything: what was taken away stays away."""

    async def send() -> None:
        async with asyncio.timeout(20), await aio_pika.connect(url) as link:
            exchange = await (await link.channel()).get_exchange(envelope.exchange, ensure=False)
            await exchange.publish(aio_pika.Message(envelope.body), envelope.routing_key)

    asyncio.run(send())
