"""Healthy, degraded or down? The rules of `status`, as one pure function of a snapshot.

*Down*: something stands still now, so that instances are not received or not registered. *Degraded*: it
works, but somebody must see to it. A *note* changes nothing. What is not visible is not judged.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from enum import IntEnum
from typing import Annotated, Final

from pydantic import PlainSerializer

from lapidicom.cli.answers import Answer, Display
from lapidicom.cli.snapshot import Corrupted, Refusals, ServiceLook, Snapshot
from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_QUEUE

UNRELAYED: Final = timedelta(seconds=60)
"""A record is in RabbitMQ within a second of its making; after this long the relay does not work."""

HELD_BACK_SECONDS: Final = 300.0
"""RabbitMQ tries again within 180 s; messages held back for longer mean a broken binding."""

FIX: Final = "lapidicom doctor --fix"
_MOST_NAMED: Final = 3
_OUT_OF_RESOURCES: Final = "0xA7"
"""The statuses of PS3.4 table B.2-1 with which a receiver refuses for a reason of its own."""


class Level(IntEnum):
    """How bad it is; the exit status of `lapidicom status`, but for a note."""

    NOTE = -1
    HEALTHY = 0
    DEGRADED = 1
    DOWN = 2

    @property
    def word(self) -> str:
        """As it is shown."""
        return self.name.lower()


STYLES: Final = {"ok": "green", "healthy": "green", "degraded": "yellow", "down": "bold red"}


class Finding(Answer):
    """One thing that an operator should know."""

    level: Annotated[
        Level,
        PlainSerializer(lambda level: level.word),
        Display(style=STYLES, form=lambda level: level.word),
    ]
    area: str
    what: str
    remedy: Annotated[str, Display("what to do")]


def judge(snapshot: Snapshot) -> list[Finding]:
    """All findings, the worst first."""
    rules = (_services, _refused, _broker, _work, _delayed, _dead_letters, _journals, _cube, _volume)
    return sorted((one for rule in rules for one in rule(snapshot)), key=lambda one: -one.level)


def level(findings: Sequence[Finding]) -> Level:
    """That of the worst."""
    return max((one.level for one in findings if one.level > Level.NOTE), default=Level.HEALTHY)


def _finding(level: Level, area: str, what: str, remedy: str) -> Finding:
    return Finding(level=level, area=area, what=what, remedy=remedy)


def _services(snapshot: Snapshot) -> Iterator[Finding]:
    """What receivers and registrars say of themselves; a service is down if no process of it is ready."""
    for area, services in (("receivers", snapshot.receivers), ("registrars", snapshot.registrars)):
        worst = Level.DEGRADED if any(one.ready for one in services or ()) else Level.DOWN
        for one in services or ():
            if not one.ready or one.reasons:
                yield _finding(
                    worst, area, _of(one), f"mend what it names; more is in the log of the {one.service}"
                )


def _refused(snapshot: Snapshot) -> Iterator[Finding]:
    """Instances refused in the last minutes: for the system's sake, or for their own."""
    refused = [one for journal in snapshot.journals or () for one in journal.refused]
    ours = [one for one in refused if one.status.startswith(_OUT_OF_RESOURCES)]
    theirs = [one for one in refused if one not in ours]
    if ours:
        last = max(one.latest for one in ours)
        is_over = any(one.last_stored and one.last_stored > last for one in snapshot.journals or ())
        what = f"refused for the system's sake in the last 5 minutes, {_counted(ours)}"
        what += "; instances were stored since" if is_over else "; nothing was stored since"
        remedy = "mend what it names; the PACS must send these instances again"
        yield _finding(Level.DEGRADED if is_over else Level.DOWN, "receivers", what, remedy)
    if theirs:
        remedy = "see the series' story: lapidicom trace SERIES_INSTANCE_UID; the sender must mend them"
        what = f"refused for their content in the last 5 minutes, {_counted(theirs)}"
        yield _finding(Level.NOTE, "receivers", what, remedy)


def _counted(refused: Sequence[Refusals]) -> str:
    """How many instances for which reason, the most frequent first."""
    counts: Counter[str] = Counter()
    for one in refused:
        counts[f"{one.status} {one.reason}"] += one.count
    named = [f"{count} x {reason}" for reason, count in counts.most_common(_MOST_NAMED)]
    return ", ".join([*named, *(["..."] if len(counts) > _MOST_NAMED else [])])


def _of(one: ServiceLook) -> str:
    state = "is degraded" if one.ready else "is not ready"
    return f"{one.service} {one.address} {state}: {'; '.join(one.reasons) or 'it does not say why'}"


def _broker(snapshot: Snapshot) -> Iterator[Finding]:
    broker = snapshot.broker
    if broker.fault:
        yield _finding(Level.DOWN, "broker", broker.fault, "check AMQP_URL and that RabbitMQ runs")
    elif broker.alarms:
        what = f"in alarm ({', '.join(broker.alarms)}): nothing can be published"
        remedy = "free memory or disk of RabbitMQ; journals hold the records meanwhile"
        yield _finding(Level.DOWN, "broker", what, remedy)


def _work(snapshot: Snapshot) -> Iterator[Finding]:
    """While CUBE or the volume is out a registrar consumes nothing on purpose: then that is the cause."""
    if WORK_QUEUE in snapshot.missing:
        yield _finding(Level.DOWN, "work", "there is no work queue", FIX)
    if snapshot.work is None or snapshot.work.consumers:
        return
    waiting = snapshot.work.messages
    if snapshot.registrars is not None:
        remedy = "see what the registrars say of themselves"
    elif snapshot.cube is not None and snapshot.cube.trouble:
        remedy = "mend CUBE: registrars consume nothing while it is out"
    else:
        remedy = "start a registrar, or ask its /readyz why it consumes nothing (set CHRIS_REGISTRAR_URL)"
    what = "no registrar consumes" + (f", {waiting} messages wait" if waiting else "")
    yield _finding(Level.DOWN if waiting else Level.DEGRADED, "work", what, remedy)


def _delayed(snapshot: Snapshot) -> Iterator[Finding]:
    if snapshot.delayed is not None and snapshot.delayed.missing:
        remedy = f"set CHRIS_RETRY_DELAYS and CHRIS_PARK_DELAY as the services have them; {FIX}"
        yield _finding(Level.DEGRADED, "delayed", f"missing: {', '.join(snapshot.delayed.missing)}", remedy)
    if snapshot.held_back:
        is_long = snapshot.held_back_seconds >= HELD_BACK_SECONDS
        yield _finding(
            Level.DEGRADED if is_long else Level.NOTE,
            "delayed",
            f"{snapshot.held_back} messages are held back on their way to another queue",
            "if they stay for 5 minutes a binding or queue is missing: lapidicom doctor",
        )


def _dead_letters(snapshot: Snapshot) -> Iterator[Finding]:
    if DEAD_LETTER_QUEUE in snapshot.missing:
        yield _finding(Level.DEGRADED, "dead letters", "there is no queue for dead letters", FIX)
    if snapshot.dead_letters is not None and snapshot.dead_letters.count:
        remedy = "lapidicom dlq list --group-by reason"
        yield _finding(Level.DEGRADED, "dead letters", f"{snapshot.dead_letters.count} dead letters", remedy)


def _journals(snapshot: Snapshot) -> Iterator[Finding]:
    oldest = snapshot.oldest_unrelayed
    if oldest is not None and snapshot.taken_at - oldest > UNRELAYED:
        what = f"a record waits for its relay since {(snapshot.taken_at - oldest).total_seconds():.0f} s"
        remedy = "nothing is lost; see the receiver's log for broker_ and journal_ events"
        yield _finding(Level.DEGRADED, "journals", what, remedy)
    aside = sum(one.set_aside for one in snapshot.journals or ())
    if aside:
        what = f"{aside} records were set aside: no message could be made of them"
        remedy = (
            "see the events record_set_aside in the receiver's log; lapidicom reconcile enqueues their files"
        )
        yield _finding(Level.DEGRADED, "journals", what, remedy)
    yield from _corrupted([place for one in snapshot.journals or () for place in one.corrupted])
    if snapshot.left_alone:
        named = ", ".join(f"{one.path} ({one.reason})" for one in snapshot.left_alone[:_MOST_NAMED])
        what = f"{len(snapshot.left_alone)} journals of a newer version are left alone: {named}"
        remedy = "start a receiver of that version on this volume: its relay finishes them"
        yield _finding(Level.DEGRADED, "journals", what, remedy)


def _corrupted(places: Sequence[Corrupted]) -> Iterator[Finding]:
    if not places:
        return
    after = min((one.after for one in places if one.after is not None), default=None)
    before = max((one.before for one in places if one.before is not None), default=None)
    since = "their beginning" if after is None else f"{after:%Y-%m-%d %H:%M} UTC"
    until = "their end" if before is None else f"{before:%Y-%m-%d %H:%M} UTC"
    yield _finding(
        Level.DEGRADED,
        "journals",
        f"journals cannot be read at {len(places)} places: instances received from {since} to {until} "
        "may not be registered",
        "check the disk, run lapidicom reconcile, then remove the .bad files of the journals",
    )


def _cube(snapshot: Snapshot) -> Iterator[Finding]:
    if snapshot.cube is not None and snapshot.cube.trouble:
        yield _finding(Level.DOWN, "cube", snapshot.cube.trouble, snapshot.cube.remedy)


def _volume(snapshot: Snapshot) -> Iterator[Finding]:
    volume = snapshot.volume
    if volume is None:
        return
    if not volume.sentinel:
        what = "no sentinel: the volume is not mounted here, or no receiver ever used it"
        remedy = "mount the volume of CHRIS_FILES_ROOT, or start a receiver"
        yield _finding(Level.DEGRADED, "volume", what, remedy)
    if volume.inodes == 0:
        yield _finding(Level.DOWN, "volume", "no free inodes: receivers refuse", "remove files, or grow it")
    if volume.free_bytes < volume.needed_bytes:
        what = "free space below CHRIS_MIN_FREE_SPACE: receivers refuse"
        yield _finding(
            Level.DOWN, "volume", what, "free or add space; receivers go on by themselves at 10 % more"
        )
    elif volume.free_bytes < volume.needed_bytes * 1.1:
        what = "free space within 10 % of CHRIS_MIN_FREE_SPACE: receivers refuse, or soon will"
        yield _finding(Level.DEGRADED, "volume", what, "free or add space")
