"""What a look at the broker's topology found, as values. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lapidicom.cli.errors import NotVisible
from lapidicom.common.topology import Queue, Topology


class Kind(StrEnum):
    """What a row is about."""

    EXCHANGE = "exchange"
    QUEUE = "queue"
    BINDING = "binding"


class State(StrEnum):
    """How it is at the broker."""

    EQUAL = "equal"
    MISSING = "missing"
    DIFFERENT = "different"
    NOT_VISIBLE = "not visible"
    LEFT_OVER = "left over"
    """A delay queue of former settings: its messages come back by themselves, nobody fills it any more."""


@dataclass(frozen=True, slots=True)
class Row:
    """An exchange, a queue or a binding.

    Attributes:
        name: of the exchange or queue; of a binding `exchange -- key -> queue`.
        told: what differs, or why it is not visible.
        steps: how to migrate, in order, if it differs.
    """

    kind: Kind
    name: str
    state: State
    told: str = ""
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BrokenGuarantee:
    """A key of a policy in effect that breaks a guarantee.

    Attributes:
        queue: to which it applies.
        policy: its name.
        is_operators: it is an operator policy.
        key: such as `max-length`.
        value: as the policy has it.
        why: what it would do.
    """

    queue: str
    policy: str
    is_operators: bool
    key: str
    value: object
    why: str

    @property
    def remedy(self) -> str:
        """The command that takes the policy away."""
        return f"rabbitmqctl clear_{'operator_' if self.is_operators else ''}policy -p VHOST {self.policy}"


@dataclass(frozen=True, slots=True)
class Report:
    """The whole comparison."""

    rows: tuple[Row, ...]
    broken: tuple[BrokenGuarantee, ...] | NotVisible

    def of(self, *states: State) -> Iterator[Row]:
        """The rows in one of these states."""
        return (row for row in self.rows if row.state in states)

    @property
    def is_sound(self) -> bool:
        """Whether nothing is known to be wrong; what is not visible is not known."""
        wrong = any(self.of(State.MISSING, State.DIFFERENT))
        return not wrong and (isinstance(self.broken, NotVisible) or not self.broken)


def binding_name(exchange: str, routing_key: str, queue: str) -> str:
    """How a binding is told."""
    return f"{exchange} -- {routing_key} -> {queue}"


def differences(queue: Queue, kind: str, *, durable: bool, arguments: Mapping[str, Any]) -> Sequence[str]:
    """What differs between a declared queue and the broker's, argument by argument.

    Args:
        queue: as declared: a durable quorum queue.
        kind: the broker's queue type.
        durable: whether the broker's is.
        arguments: the broker's.
    """
    found = {"x-queue-type": kind, **arguments}
    told = [] if durable else ["not durable, declared durable"]
    for name in sorted(queue.arguments.keys() | found.keys()):
        declared, actual = queue.arguments.get(name), found.get(name)
        if declared != actual:
            told.append(f"{name} is {_shown(actual)}, declared {_shown(declared)}")
    return told


def left_over(names: Sequence[str], declared: Topology, prefix: str) -> list[str]:
    """Delay queues of the broker that are not declared (any more).

    Args:
        names: of all queues of the broker.
        declared: the topology.
        prefix: with which the names of delay queues begin.
    """
    known = {queue.name for queue in declared.queues}
    return sorted(name for name in names if name.startswith(prefix) and name not in known)


def _shown(value: object) -> str:
    return "absent" if value is None else str(value)
