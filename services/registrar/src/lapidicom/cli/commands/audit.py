"""`lapidicom audit`: who changed what, when and why."""

from collections import deque
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from lapidicom.cli.audit import Entry, parse
from lapidicom.cli.dead_letters.lock import lock
from lapidicom.cli.dead_letters.reading import reading
from lapidicom.cli.filters import parse_time
from lapidicom.cli.masking import MASK
from lapidicom.cli.shell import Shell, command
from lapidicom.common.topology import AUDIT_QUEUE


@command(
    "lapidicom audit",
    "lapidicom audit --since 7d",
    "lapidicom audit --json",
)
def audit(
    shell: Shell,
    since: Annotated[
        str | None, typer.Option(help="Not older: 30m, 2h, 3d, or an ISO date, UTC unless it says.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many, the newest; 0 is all.")] = 50,
    show_phi: Annotated[bool, typer.Option("--show-phi", help="Show patient data too.")] = False,
) -> None:
    """Show what operators changed, newest last: each act once before it was done, and once after.

    Looking changes nothing. An act without an end is under way still, or its terminal was killed.
    """
    wanted = parse_time("--since", since, datetime.now(UTC))
    entries = shell.run(_read(shell, wanted, limit or None))
    if shell.output.json:
        shell.output.document({"entries": [_document(entry, show_phi) for entry in entries]})
        return
    shell.output.table(
        ["when", "who", "act", "phase", "what", "why", "id"],
        [
            (entry.when, entry.who, entry.act, entry.phase.value, _what(entry, show_phi), entry.why, entry.id)
            for entry in entries
        ],
    )
    shell.output.note(f"{len(entries)} entries")


async def _read(shell: Shell, since: datetime | None, limit: int | None) -> list["Entry"]:
    found: deque[Entry] = deque(maxlen=limit)
    async with shell.connection() as link, lock(link, AUDIT_QUEUE), reading(link, AUDIT_QUEUE) as held:
        async for one in held:
            entry = parse(one.body)
            if entry is not None and (since is None or entry.time >= since):
                found.append(entry)
    return list(found)


def _what(entry: "Entry", show_phi: bool) -> str:
    told = {name: value for name, value in entry.told.items() if value not in (None, [], "")}
    return ", ".join(
        f"{name}={_short(value)}" for name, value in {**told, **_private(entry, show_phi)}.items()
    )


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}={_short(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "+".join(map(_short, value))
    return str(value)


def _private(entry: "Entry", show_phi: bool) -> dict[str, Any]:
    return dict(entry.private) if show_phi else dict.fromkeys(entry.private, MASK)


def _document(entry: "Entry", show_phi: bool) -> dict[str, Any]:
    return {**asdict(entry), "private": _private(entry, show_phi)}
