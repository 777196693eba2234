"""Policies that would break a guarantee are found, whether of users or of operators."""

from typing import Any

import pytest

from lapidicom.cli.management import ManagedQueue, Policy
from lapidicom.cli.topology.policies import BREAKS, broken_guarantees
from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_QUEUE, topology

QUEUES = topology((1,), 1).queues


def policy(name: str = "p", pattern: str = ".*", priority: int = 0, **changes: Any) -> Policy:
    fields = {"apply_to": "queues", "definition": {"max-length": 3}, "is_operators": False} | changes
    return Policy(name, pattern, priority=priority, **fields)


def managed(name: str, policy: str, operator_policy: str, effective: dict[str, Any]) -> ManagedQueue:
    return ManagedQueue(name, "quorum", True, {}, 0, 0, 0, 0, 0.0, 0.0, policy, operator_policy, effective)


@pytest.mark.parametrize("key", BREAKS)
def test_each_key_that_breaks_a_guarantee_is_found_with_its_reason(key: str) -> None:
    found = broken_guarantees(
        QUEUES, {}, [policy(pattern=f"^{WORK_QUEUE}$", definition={key: 1, "ha-mode": "all"})]
    )
    assert [(one.queue, one.policy, one.key, one.value) for one in found] == [(WORK_QUEUE, "p", key, 1)]
    assert found[0].why == BREAKS[key]
    assert found[0].remedy == "rabbitmqctl clear_policy -p VHOST p"


def test_a_policy_for_other_things_breaks_nothing() -> None:
    others = [
        policy(pattern="^other"),
        policy(apply_to="exchanges"),
        policy(apply_to="classic_queues"),
        policy(definition={"queue-leader-locator": "balanced"}),
        policy(pattern="(unbalanced"),
    ]
    for one in others:
        assert broken_guarantees(QUEUES, {}, [one]) == ()


def test_of_several_policies_the_one_of_the_highest_priority_counts_and_one_operator_policy_beside_it() -> (
    None
):
    found = broken_guarantees(
        QUEUES[:1],
        {},
        [
            policy("low", priority=1),
            policy("high", priority=2, definition={"expires": 1}),
            policy("operators", is_operators=True, definition={"delivery-limit": 2}),
        ],
    )
    assert [(one.policy, one.key, one.is_operators) for one in found] == [
        ("high", "expires", False),
        ("operators", "delivery-limit", True),
    ]
    assert found[1].remedy == "rabbitmqctl clear_operator_policy -p VHOST operators"


def test_what_a_queue_itself_says_is_in_effect_counts_too_but_once() -> None:
    queues = {
        DEAD_LETTER_QUEUE: managed(DEAD_LETTER_QUEUE, "p", "", {"max-length": 3, "overflow": "drop-head"})
    }
    found = broken_guarantees(QUEUES, queues, [policy(pattern=f"^{DEAD_LETTER_QUEUE}$")])
    assert [(one.policy, one.key) for one in found] == [("p", "max-length"), ("p", "overflow")]
