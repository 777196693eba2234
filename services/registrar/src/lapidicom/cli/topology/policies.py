"""Which policies would break a guarantee. Policies win over, or join, a queue's arguments. Pure."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from lapidicom.cli.management import ManagedQueue, Policy
from lapidicom.cli.topology.report import BrokenGuarantee
from lapidicom.common.topology import Queue

BREAKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "delivery-limit": "the smaller limit counts: messages leave the queue after so many looks or crashes",
        "max-length": "messages above it are dropped or refused",
        "max-length-bytes": "messages above it are dropped or refused",
        "message-ttl": "messages leave the queue when they are older, or too early",
        "expires": "the queue is deleted with its messages when nobody uses it",
        "overflow": "it decides what happens at a limit in place of reject-publish, which drops nothing",
        "dead-letter-exchange": "messages would be dead-lettered where nobody looks for them",
        "dead-letter-routing-key": "messages would be dead-lettered where nobody looks for them",
        "dead-letter-strategy": "at-most-once loses messages when the broker is killed",
    }
)
"""Keys of a policy that no queue of ours may have, and what each would do."""


def broken_guarantees(
    queues: Sequence[Queue], managed: Mapping[str, ManagedQueue], policies: Sequence[Policy]
) -> tuple[BrokenGuarantee, ...]:
    """All that breaks a guarantee: by the vhost's policies, and by what the queues say is in effect.

    The queues' own words are some seconds late; the policies are those of now. Of several policies that
    match a queue the one of the highest priority counts, beside one operator policy.

    Args:
        queues: as declared.
        managed: the broker's queues, by name.
        policies: of the vhost.
    """
    found: dict[tuple[str, str, str], BrokenGuarantee] = {}
    for queue in queues:
        for policy in _in_effect(queue.name, policies):
            for key, value in policy.definition.items():
                if key in BREAKS:
                    found[queue.name, policy.name, key] = BrokenGuarantee(
                        queue.name, policy.name, policy.is_operators, key, value, BREAKS[key]
                    )
        one = managed.get(queue.name)
        if one is None:
            continue
        told = {key for name, _, key in found if name == queue.name}
        for key, value in one.effective.items():
            if key in BREAKS and key not in told:
                name, is_operators = (one.policy, False) if one.policy else (one.operator_policy, True)
                found[queue.name, name, key] = BrokenGuarantee(
                    queue.name, name, is_operators, key, value, BREAKS[key]
                )
    return tuple(found.values())


def _in_effect(queue: str, policies: Sequence[Policy]) -> list[Policy]:
    chosen = []
    for is_operators in (False, True):
        matching = [one for one in policies if one.is_operators is is_operators and one.matches(queue)]
        if matching:
            chosen.append(max(matching, key=lambda one: one.priority))
    return chosen
