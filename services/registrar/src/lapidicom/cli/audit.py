"""Audit: who changed what, when and why. Told to the queue `lapidicom.audit` before the act and after it.

An act that cannot be told beforehand is not begun. Its end is one line of the log, too. What may hold
patient data stands in `private`, which is in the queue but never in a log line.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import structlog

from lapidicom.cli.connection import operator
from lapidicom.cli.filters import Filters
from lapidicom.common.broker import BrokerError, Envelope, Publisher
from lapidicom.common.topology import AUDIT_QUEUE, EXCHANGE

log = structlog.get_logger(__name__)

TYPE = "OperatorAct"
VERSION = 1


class Phase(StrEnum):
    """Where an act was when it was told."""

    BEGUN = "begun"
    ENDED = "ended"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the audit.

    Attributes:
        id: of the act; the entries of one act have it in common.
        act: the command, such as `dlq replay`.
        phase: before the act, or how it ended.
        who: user@host.
        when: ISO 8601, UTC.
        why: the operator's --reason; empty if none was given.
        told: what is done or was done: counts, filters, ids. No patient data.
        private: what may hold patient data, such as new values of fields.
    """

    id: str
    act: str
    phase: Phase
    who: str
    when: str
    why: str
    told: Mapping[str, Any] = field(default_factory=dict)
    private: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def time(self) -> datetime:
        """When it was told."""
        return datetime.fromisoformat(self.when)


async def record(publisher: Publisher, entry: Entry) -> None:
    """Put an entry into the audit; returns once it is on the broker's disks.

    Raises:
        BrokerError: it may not have been stored.
    """
    body = json.dumps(asdict(entry), default=str, ensure_ascii=False).encode()
    await publisher.publish(Envelope(EXCHANGE, AUDIT_QUEUE, TYPE, VERSION, uuid.uuid4().hex, body))


@asynccontextmanager
async def audited(
    publisher: Publisher,
    act: str,
    *,
    why: str = "",
    before: Mapping[str, Any] | None = None,
    private: Mapping[str, Any] | None = None,
) -> AsyncIterator[dict[str, Any]]:
    """Do an act of an operator within the audit.

        async with audited(publisher, "topology apply", why=reason, before={"missing": 2}) as after:
            ...
            after["declared"] = 2

    Args:
        publisher: for the entries.
        act: the command.
        why: the operator's reason.
        before: what will be done, or how things are.
        private: the same, of what may hold patient data.

    Yields:
        A dictionary for what was done; it is told at the end, however the act ends.

    Raises:
        BrokerError: the act could not be told beforehand, so it is not begun.
    """
    name, who = uuid.uuid4().hex[:12], operator()
    after: dict[str, Any] = {}

    def entry(phase: Phase, told: Mapping[str, Any], hidden: Mapping[str, Any]) -> Entry:
        return Entry(name, act, phase, who, _now(), why, told, hidden)

    await record(publisher, entry(Phase.BEGUN, before or {}, private or {}))
    phase = Phase.FAILED
    try:
        yield after
        phase = Phase.ENDED
    except (asyncio.CancelledError, KeyboardInterrupt):
        phase = Phase.INTERRUPTED
        raise
    finally:
        with suppress(BrokerError):
            await record(publisher, entry(phase, after, {}))
        log.info("operator_act", id=name, act=act, phase=phase.value, who=who, why=why, **after)


def parse(body: bytes) -> Entry | None:
    """Read an entry; None for what is none."""
    try:
        fields = json.loads(body)
        texts = {name: str(fields[name]) for name in ("id", "act", "who", "when", "why")}
        told, private = dict(fields["told"]), dict(fields["private"])
        entry = Entry(phase=Phase(fields["phase"]), told=told, private=private, **texts)
        return entry if entry.time.tzinfo else None
    except (ValueError, KeyError, TypeError):
        return None


def told_filters(filters: Filters) -> tuple[dict[str, Any], dict[str, Any]]:
    """Filters as an entry tells them: what is harmless, and what may hold patient data."""
    given = {name: value for name, value in asdict(filters).items() if value}
    where = dict(filters.where)
    given.pop("where", None)
    told: dict[str, Any] = {"filters": given} if given else {}
    if where:
        told["where"] = sorted(where)
    return told, {"where": where} if where else {}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
