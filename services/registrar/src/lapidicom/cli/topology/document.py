"""The topology and its comparison as JSON documents; docs/cli.md lists the keys. Pure."""

from collections.abc import Mapping
from typing import Any

from lapidicom.cli.errors import NotVisible
from lapidicom.cli.topology.report import Report, State
from lapidicom.common.topology import Topology


def declared_document(declared: Topology) -> dict[str, Any]:
    """What is declared."""
    return {
        "exchanges": [{"name": name, "type": "topic", "durable": True} for name in declared.exchanges],
        "queues": [
            {"name": queue.name, "durable": True, "arguments": dict(queue.arguments)}
            for queue in declared.queues
        ],
        "bindings": [
            {"exchange": one.exchange, "routing_key": one.routing_key, "queue": one.queue}
            for one in declared.bindings
        ],
    }


def report_document(report: Report, **more: Any) -> dict[str, Any]:
    """What was found."""
    broken = report.broken
    return {
        "sound": report.is_sound,
        **more,
        "rows": [
            {
                "kind": row.kind,
                "name": row.name,
                "state": row.state,
                "told": row.told,
                "steps": list(row.steps),
            }
            for row in report.rows
        ],
        "policies": None
        if isinstance(broken, NotVisible)
        else [
            {
                "queue": one.queue,
                "policy": one.policy,
                "operator_policy": one.is_operators,
                "key": one.key,
                "value": one.value,
                "why": one.why,
            }
            for one in broken
        ],
        "not_visible": _not_visible(report),
    }


def _not_visible(report: Report) -> Mapping[str, str]:
    """What could not be seen, and why."""
    reasons: dict[str, str] = {}
    for row in report.of(State.NOT_VISIBLE):
        reasons.setdefault(f"{row.kind}s", row.told)
    if isinstance(report.broken, NotVisible):
        reasons["policies"] = report.broken.reason
    return reasons
