"""Healthy, degraded or down? The rules of `status`, as one pure function of a snapshot.

*Down*: something stands still now, so that instances are not received or not registered. *Degraded*: it
works, but somebody must see to it. A *note* changes nothing. What is not visible is not judged.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from enum import IntEnum
from typing import Annotated, Any, Final

from pydantic import PlainSerializer

from lapidicom.cli.answers import Answer, Check, Display, NotVisible, Result
from lapidicom.cli.snapshot import (
    BrokerLook,
    DeadLettersLook,
    DelayedLook,
    JournalLook,
    QueueLook,
    Refusals,
    ServiceLook,
    Snapshot,
    VolumeLook,
)
from lapidicom.cli.volume import check_space
from lapidicom.common.journal.reader import UnknownJournal

UNRELAYED: Final = timedelta(seconds=60)
"""A record is in RabbitMQ within a second of its making; after this long the relay does not work."""

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
    """One thing that an operator should know; `area`: the key of the snapshot that it is about."""

    level: Annotated[
        Level,
        PlainSerializer(lambda level: level.word),
        Display(style=STYLES, form=lambda level: level.word),
    ]
    area: str
    what: str
    remedy: Annotated[str, Display("what to do")]


Found = Iterator[tuple[Level, str, str]]
"""Level, what it is, and what to do."""


def judge(snapshot: Snapshot) -> list[Finding]:
    """All findings, the worst first."""
    found = [
        Finding(level=level, area=area, what=what, remedy=remedy)
        for area, field, rule in _RULES
        if not isinstance(value := getattr(snapshot, field), NotVisible)
        for level, what, remedy in rule(value, snapshot)
    ]
    return sorted(found, key=lambda one: -one.level)


def level(findings: Iterable[Finding]) -> Level:
    """That of the worst."""
    return max((one.level for one in findings if one.level > Level.NOTE), default=Level.HEALTHY)


def _services(services: Sequence[ServiceLook], _: Snapshot) -> Found:
    """What receivers or registrars say of themselves; a service is down if no process of it is ready."""
    worst = Level.DEGRADED if any(one.ready for one in services) else Level.DOWN
    for one in services:
        if one.fault:
            remedy = f"mend what it names; more is in the log of the {one.service}"
            yield worst, f"{one.service} {one.address} {one.fault}", remedy


def _refused(journals: Sequence[JournalLook], _: Snapshot) -> Found:
    """Instances refused in the last minutes: for the system's sake, or for their own."""
    refused = [one for journal in journals for one in journal.refused]
    ours = [one for one in refused if one.status.startswith(_OUT_OF_RESOURCES)]
    theirs = [one for one in refused if one not in ours]
    if ours:
        last = max(one.latest for one in ours)
        is_over = any(one.last_stored and one.last_stored > last for one in journals)
        since = "instances were stored since" if is_over else "nothing was stored since"
        what = f"refused for the system's sake in the last 5 minutes, {_counted(ours)}; {since}"
        remedy = "mend what it names; the PACS must send these instances again"
        yield Level.DEGRADED if is_over else Level.DOWN, what, remedy
    if theirs:
        remedy = "see the series' story: lapidicom trace SERIES_INSTANCE_UID; the sender must mend them"
        yield Level.NOTE, f"refused for their content in the last 5 minutes, {_counted(theirs)}", remedy


def _counted(refused: Sequence[Refusals]) -> str:
    """How many instances for which reason, the most frequent first."""
    counts: Counter[str] = Counter()
    for one in refused:
        counts[f"{one.status} {one.reason}"] += one.count
    named = [f"{count} x {reason}" for reason, count in counts.most_common(_MOST_NAMED)]
    return ", ".join([*named, *(["..."] if len(counts) > _MOST_NAMED else [])])


def _broker(broker: BrokerLook, _: Snapshot) -> Found:
    if broker.fault:
        yield Level.DOWN, broker.fault, "check AMQP_URL and that RabbitMQ runs"
    elif broker.alarms and not isinstance(broker.alarms, NotVisible):
        what = f"in alarm ({', '.join(broker.alarms)}): nothing can be published"
        yield Level.DOWN, what, "free memory or disk of RabbitMQ; journals hold the records meanwhile"


def _work(work: QueueLook | None, _: Snapshot) -> Found:
    """While CUBE or the volume is out a registrar consumes nothing on purpose: then that is the cause."""
    if work is None:
        yield Level.DOWN, "there is no work queue", FIX
    elif not work.consumers:
        what = "no registrar consumes" + (f", {work.messages} messages wait" if work.messages else "")
        remedy = (
            "start a registrar; one that runs consumes nothing while CUBE or the volume is out: its /readyz "
            "tells (CHRIS_REGISTRAR_URL)"
        )
        yield Level.DOWN if work.messages else Level.DEGRADED, what, remedy


def _delayed(delayed: DelayedLook, snapshot: Snapshot) -> Found:
    if delayed.missing:
        remedy = f"set CHRIS_RETRY_DELAYS and CHRIS_PARK_DELAY as the services have them; {FIX}"
        yield Level.DEGRADED, f"missing: {', '.join(delayed.missing)}", remedy
    held_back = [
        one.held_back for one in (delayed, snapshot.work) if isinstance(one, DelayedLook | QueueLook)
    ]
    count = sum(one for one in held_back if not isinstance(one, NotVisible))
    if count:  # RabbitMQ tries again within 180 s
        remedy = "if they stay for 5 minutes a binding or queue is missing: lapidicom doctor"
        yield Level.NOTE, f"{count} messages are held back on their way to another queue", remedy


def _dead_letters(letters: DeadLettersLook | None, _: Snapshot) -> Found:
    if letters is None:
        yield Level.DEGRADED, "there is no queue for dead letters", FIX
    elif letters.count and not isinstance(letters.count, NotVisible):
        yield Level.DEGRADED, f"{letters.count} dead letters", "lapidicom dlq list --group-by reason"


def _journals(journals: Sequence[JournalLook], snapshot: Snapshot) -> Found:
    oldest = snapshot.oldest_unrelayed
    if oldest is not None and snapshot.taken_at - oldest > UNRELAYED:
        what = f"a record waits for its relay since {(snapshot.taken_at - oldest).total_seconds():.0f} s"
        remedy = "nothing is lost; see the receiver's log for broker_ and journal_ events"
        yield Level.DEGRADED, what, remedy
    aside = sum(one.set_aside for one in journals)
    if aside:
        what = f"{aside} records were set aside: no message could be made of them"
        remedy = (
            "see the events record_set_aside in the receiver's log; lapidicom reconcile enqueues their files"
        )
        yield Level.DEGRADED, what, remedy
    bad = [place for one in journals for place in one.corrupted]
    if bad:
        after = min((one.after for one in bad if one.after is not None), default=None)
        before = max((one.before for one in bad if one.before is not None), default=None)
        since = "their beginning" if after is None else f"{after:%Y-%m-%d %H:%M} UTC"
        until = "their end" if before is None else f"{before:%Y-%m-%d %H:%M} UTC"
        what = (
            f"journals cannot be read at {len(bad)} places: instances received from {since} to {until} "
            "may not be registered"
        )
        remedy = "check the disk, run lapidicom reconcile, then remove the .bad files of the journals"
        yield Level.DEGRADED, what, remedy


def _left_alone(journals: Sequence[UnknownJournal], _: Snapshot) -> Found:
    if journals:
        named = ", ".join(f"{one.path} ({one.reason})" for one in journals[:_MOST_NAMED])
        what = f"{len(journals)} journals of a newer version are left alone: {named}"
        remedy = "start a receiver of that version on this volume: its relay finishes them"
        yield Level.DEGRADED, what, remedy


def _cube(checks: Sequence[Check], _: Snapshot) -> Found:
    return ((Level.DOWN, one.seen, one.remedy) for one in checks if one.result is Result.FAIL)


def _volume(volume: VolumeLook, _: Snapshot) -> Found:
    worst = Level.DOWN if volume.sentinel else Level.DEGRADED
    yield from ((worst, one.seen, one.remedy) for one in check_space(volume) if one.result is Result.FAIL)
    if volume.needed_bytes <= volume.free_bytes < volume.needed_bytes * 1.1:
        what = "free space within 10 % of CHRIS_MIN_FREE_SPACE: receivers refuse, or soon will"
        yield Level.DEGRADED, what, "free or add space"


_RULES: Final[Sequence[tuple[str, str, Callable[[Any, Snapshot], Found]]]] = (
    ("receivers", "receivers", _services),
    ("registrars", "registrars", _services),
    ("receivers", "journals", _refused),
    ("broker", "broker", _broker),
    ("work", "work", _work),
    ("delayed", "delayed", _delayed),
    ("dead_letters", "dead_letters", _dead_letters),
    ("journals", "journals", _journals),
    ("journals", "left_alone", _left_alone),
    ("cube", "cube", _cube),
    ("volume", "volume", _volume),
)
"""Area of the findings, key of the snapshot, and the rule for its value, where that is visible."""
