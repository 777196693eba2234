"""Healthy, degraded or down? The rules, as one pure function of a snapshot.

*Down*: something stands still now, so that instances are not received or not registered. *Degraded*: it
works, but somebody must see to it. A *note* changes nothing. What is not visible is not judged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

from lapidicom.cli.errors import NotVisible
from lapidicom.cli.status.snapshot import Corrupted, DeadLettersLook, QueueLook, Snapshot

UNRELAYED: Final = timedelta(seconds=60)
"""A record is in RabbitMQ within a second of its making; after this long the relay does not work."""

HELD_BACK_SECONDS: Final = 300.0
"""RabbitMQ tries again within 180 s; messages held back for longer mean a broken binding."""


_MOST_NAMED: Final = 3


class Level(IntEnum):
    """How bad it is; the exit status of `lapidicom status`, but for a note."""

    NOTE = -1
    HEALTHY = 0
    DEGRADED = 1
    DOWN = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that an operator should know.

    Attributes:
        area: `receivers`, `registrars`, `broker`, `work`, `delayed`, `dead letters`, `journals`, `cube` or
            `volume`.
        remedy: what to do.
    """

    level: Level
    area: str
    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """The level of the worst finding, and all findings, worst first."""

    level: Level
    findings: Sequence[Finding]

    def of(self, area: str) -> Level:
        """The worst level of an area."""
        return max((one.level for one in self.findings if one.area == area), default=Level.HEALTHY)


def judge(snapshot: Snapshot) -> Judgement:
    """Judge what was seen."""
    found = [
        *_broker(snapshot),
        *_services(snapshot),
        *_work(snapshot),
        *_delayed(snapshot),
        *_dead_letters(snapshot),
        *_journals(snapshot),
        *_cube(snapshot),
        *_volume(snapshot),
    ]
    found.sort(key=lambda one: -one.level)
    level = max((one.level for one in found), default=Level.HEALTHY)
    return Judgement(max(level, Level.HEALTHY), tuple(found))


def _broker(snapshot: Snapshot) -> Iterator[Finding]:
    broker = snapshot.broker
    if broker.fault:
        yield Finding(Level.DOWN, "broker", broker.fault, "check AMQP_URL and that RabbitMQ runs")
    elif not isinstance(broker.alarms, NotVisible) and broker.alarms:
        yield Finding(
            Level.DOWN,
            "broker",
            f"in alarm ({', '.join(broker.alarms)}): nothing can be published",
            "free memory or disk of RabbitMQ; journals hold the records meanwhile",
        )


def _work(snapshot: Snapshot) -> Iterator[Finding]:
    work = snapshot.work
    if isinstance(work, NotVisible):
        return
    if work is None:
        yield Finding(Level.DOWN, "work", "there is no work queue", "lapidicom topology apply")
    elif work.consumers == 0:
        yield _no_consumer(work, snapshot)


def _no_consumer(work: QueueLook, snapshot: Snapshot) -> Finding:
    """While CUBE or the volume is out a registrar consumes nothing on purpose: then that is the cause."""
    waiting = work.messages
    cube, registrars = snapshot.cube, snapshot.registrars
    if not isinstance(registrars, NotVisible):
        remedy = "see what the registrars say of themselves"
    elif not isinstance(cube, NotVisible) and cube.trouble:
        remedy = "mend CUBE: registrars consume nothing while it is out"
    else:
        remedy = "start a registrar, or ask its /readyz why it consumes nothing (set CHRIS_REGISTRAR_URL)"
    return Finding(
        Level.DOWN if waiting else Level.DEGRADED,
        "work",
        f"no registrar consumes, {waiting} messages wait" if waiting else "no registrar consumes",
        remedy,
    )


def _delayed(snapshot: Snapshot) -> Iterator[Finding]:
    delayed = snapshot.delayed
    if not isinstance(delayed, NotVisible) and delayed.missing:
        yield Finding(
            Level.DEGRADED,
            "delayed",
            f"missing: {', '.join(delayed.missing)}",
            "set CHRIS_RETRY_DELAYS and CHRIS_PARK_DELAY as the services have them; lapidicom topology check",
        )
    held_back = snapshot.held_back
    if not isinstance(held_back, NotVisible) and held_back > 0:
        is_long = snapshot.held_back_seconds >= HELD_BACK_SECONDS
        yield Finding(
            Level.DEGRADED if is_long else Level.NOTE,
            "delayed",
            f"{held_back} messages are held back on their way to another queue",
            "if they stay for 5 minutes a binding or queue is missing: lapidicom topology check",
        )


def _dead_letters(snapshot: Snapshot) -> Iterator[Finding]:
    letters = snapshot.dead_letters
    match letters:
        case None:
            yield Finding(
                Level.DEGRADED,
                "dead letters",
                "there is no queue for dead letters",
                "lapidicom topology apply",
            )
        case DeadLettersLook(count=int() as count) if count > 0:
            yield Finding(
                Level.DEGRADED,
                "dead letters",
                f"{count} dead letters",
                "lapidicom dlq list --group-by reason",
            )
        case _:
            return


def _journals(snapshot: Snapshot) -> Iterator[Finding]:
    if isinstance(snapshot.journals, NotVisible):
        return
    oldest = oldest_unrelayed(snapshot)
    if oldest is not None and snapshot.taken_at - oldest > UNRELAYED:
        seconds = (snapshot.taken_at - oldest).total_seconds()
        yield Finding(
            Level.DEGRADED,
            "journals",
            f"a record waits for its relay since {seconds:.0f} s",
            "nothing is lost; see the receiver's log for broker_ and journal_ events",
        )
    aside = sum(one.set_aside for one in snapshot.journals)
    if aside:
        yield Finding(
            Level.DEGRADED,
            "journals",
            f"{aside} records were set aside: no message could be made of them",
            "see the events record_set_aside in the receiver's log; lapidicom reconcile enqueues their files",
        )
    yield from _corrupted([bad for one in snapshot.journals for bad in one.corrupted])
    if not isinstance(snapshot.left_alone, NotVisible) and snapshot.left_alone:
        named = ", ".join(f"{one.path} ({one.reason})" for one in snapshot.left_alone[:_MOST_NAMED])
        yield Finding(
            Level.DEGRADED,
            "journals",
            f"{len(snapshot.left_alone)} journals of a newer version are left alone: {named}",
            "start a receiver of that version on this volume: its relay finishes them",
        )


def _corrupted(places: Sequence[Corrupted]) -> Iterator[Finding]:
    if not places:
        return
    after = min((one.after for one in places if one.after is not None), default=None)
    before = max((one.before for one in places if one.before is not None), default=None)
    since = "their beginning" if after is None else f"{after:%Y-%m-%d %H:%M} UTC"
    until = "their end" if before is None else f"{before:%Y-%m-%d %H:%M} UTC"
    yield Finding(
        Level.DEGRADED,
        "journals",
        f"journals cannot be read at {len(places)} places: instances received from {since} to {until} "
        "may not be registered",
        "check the disk, run lapidicom reconcile, then remove the .bad files of the journals",
    )


def oldest_unrelayed(snapshot: Snapshot) -> datetime | None:
    """When the oldest record was made that is not known to be in RabbitMQ; None if none is visible."""
    if isinstance(snapshot.journals, NotVisible):
        return None
    return min((one.oldest for one in snapshot.journals if one.oldest is not None), default=None)


def _cube(snapshot: Snapshot) -> Iterator[Finding]:
    cube = snapshot.cube
    if not isinstance(cube, NotVisible) and cube.trouble:
        yield Finding(Level.DOWN, "cube", cube.trouble, cube.remedy)


def _services(snapshot: Snapshot) -> Iterator[Finding]:
    """What receivers and registrars say of themselves; a service is down if no process of it is ready."""
    for area, told in (("receivers", snapshot.receivers), ("registrars", snapshot.registrars)):
        if isinstance(told, NotVisible):
            continue
        is_down = not any(one.ready for one in told)
        for one in told:
            if one.ready and not one.reasons:
                continue
            yield Finding(
                Level.DOWN if is_down else Level.DEGRADED,
                area,
                f"{one.service} {one.address} {'is degraded' if one.ready else 'is not ready'}: "
                + ("; ".join(one.reasons) or "it does not say why"),
                f"mend what it names; more is in the log of the {one.service}",
            )


def _volume(snapshot: Snapshot) -> Iterator[Finding]:
    volume = snapshot.volume
    if isinstance(volume, NotVisible):
        return
    if not volume.sentinel:
        yield Finding(
            Level.DEGRADED,
            "volume",
            "no sentinel: the volume is not mounted here, or no receiver ever used it",
            "mount the volume of CHRIS_FILES_ROOT, or start a receiver",
        )
    if volume.inodes == 0:
        yield Finding(Level.DOWN, "volume", "no free inodes: receivers refuse", "remove files, or grow it")
    if volume.free_bytes < volume.needed_bytes:
        yield Finding(
            Level.DOWN,
            "volume",
            "free space below CHRIS_MIN_FREE_SPACE: receivers refuse",
            "free or add space; receivers go on by themselves at 10 % more",
        )
    elif volume.free_bytes < volume.needed_bytes * 1.1:
        yield Finding(
            Level.DEGRADED,
            "volume",
            "free space within 10 % of CHRIS_MIN_FREE_SPACE: receivers refuse, or soon will",
            "free or add space",
        )
