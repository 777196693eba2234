"""A judged snapshot as one screen: rows of area, level and state. Pure."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from lapidicom.cli.errors import NotVisible
from lapidicom.cli.services import Readiness
from lapidicom.cli.status.judgement import Judgement, Level, oldest_unrelayed
from lapidicom.cli.status.snapshot import (
    CubeLook,
    DeadLettersLook,
    DelayedLook,
    QueueLook,
    Snapshot,
    VolumeLook,
)

Row = tuple[str, str, str]
"""Area, level, and what was seen."""

_UNSEEN = "?"
_MOST_REASONS = 6


def rows(snapshot: Snapshot, judgement: Judgement) -> list[Row]:
    """One row for each area, in the order of the path."""
    now = snapshot.taken_at
    told: list[tuple[str, str, object, Callable[[], str]]] = [
        ("receivers", "receivers", snapshot.receivers, lambda: _services(snapshot.receivers)),
        ("volume", "volume", snapshot.volume, lambda: _volume(snapshot.volume)),
        ("journals", "journals", snapshot.journals, lambda: _journals(snapshot)),
        ("RabbitMQ", "broker", snapshot.broker, lambda: _broker(snapshot)),
        ("work queue", "work", snapshot.work, lambda: _work(snapshot.work)),
        ("delayed", "delayed", snapshot.delayed, lambda: _delayed(snapshot.delayed, snapshot.held_back)),
        (
            "dead letters",
            "dead letters",
            snapshot.dead_letters,
            lambda: _dead_letters(snapshot.dead_letters, now),
        ),
        ("registrars", "registrars", snapshot.registrars, lambda: _services(snapshot.registrars)),
        ("CUBE", "cube", snapshot.cube, lambda: _cube(snapshot.cube)),
    ]
    return [
        (title, _UNSEEN, str(value))
        if isinstance(value, NotVisible)
        else (title, _level(judgement.of(area)), tell())
        for title, area, value, tell in told
    ]


def findings(judgement: Judgement) -> list[Row]:
    """What an operator should know: level, what, remedy."""
    return [(one.level.name.lower(), one.what, one.remedy) for one in judgement.findings]


def _level(level: Level) -> str:
    return "ok" if level is Level.HEALTHY else level.name.lower()


def _broker(snapshot: Snapshot) -> str:
    broker = snapshot.broker
    if broker.fault:
        return f"{broker.address}: {broker.fault}"
    alarms = broker.alarms
    told = f"alarms {alarms}" if isinstance(alarms, NotVisible) else ", ".join(alarms) or "no alarms"
    return f"{broker.version} at {broker.address}; {told}"


def _work(work: QueueLook | NotVisible | None) -> str:
    if not isinstance(work, QueueLook):
        return "there is no such queue"
    parts = [f"{work.ready} ready", f"{_number(work.unacknowledged)} unacknowledged"]
    parts.append(f"{work.consumers} consumer{'' if work.consumers == 1 else 's'}")
    parts.append(f"in {_rate(work.publish_rate)}, out {_rate(work.ack_rate)}")
    unseen = next((one for one in (work.unacknowledged, work.ack_rate) if isinstance(one, NotVisible)), None)
    return "; ".join(parts) + (f"; ? is {unseen}" if unseen else "")


def _delayed(delayed: DelayedLook | NotVisible, held_back: int | NotVisible) -> str:
    if isinstance(delayed, NotVisible):
        return str(delayed)
    told = f"{delayed.messages} parked or retried"
    if isinstance(held_back, NotVisible):
        return f"{told}; held back by dead-lettering: {held_back}"
    return f"{told}; {held_back} held back by dead-lettering"


def _dead_letters(letters: DeadLettersLook | NotVisible | None, now: datetime) -> str:
    if not isinstance(letters, DeadLettersLook):
        return "there is no such queue"
    if isinstance(letters.reasons, NotVisible):
        return f"{_number(letters.count)}; reasons {letters.reasons}"
    if not letters.count:
        return "none"
    told = [f"{one.count} {one.reason}{_since(one.oldest, now)}" for one in letters.reasons[:_MOST_REASONS]]
    more = len(letters.reasons) - _MOST_REASONS
    return f"{letters.count}: {'; '.join(told)}" + (f"; and {more} more reasons" if more > 0 else "")


def _journals(snapshot: Snapshot) -> str:
    journals = snapshot.journals
    if isinstance(journals, NotVisible):
        return str(journals)
    under_way = [one for one in journals if not one.finished]
    told = f"{len(under_way)} under way, {len(journals) - len(under_way)} finished"
    oldest = oldest_unrelayed(snapshot)
    if oldest is None:
        return f"{told}; all relayed"
    waiting = size(sum(one.unrelayed_bytes for one in under_way))
    return f"{told}; {waiting} not relayed, oldest record {age(snapshot.taken_at - oldest)}"


def _cube(cube: CubeLook | NotVisible) -> str:
    if isinstance(cube, NotVisible):
        return str(cube)
    if cube.trouble:
        return cube.trouble
    sees = "sees our files" if cube.sees_our_files else "whether it sees our files is not known"
    return f"{cube.generation} at {cube.url}; token accepted, database answers, {sees}"


def _services(told: Sequence[Readiness] | NotVisible) -> str:
    if isinstance(told, NotVisible):
        return str(told)
    ready = [one.address for one in told if one.ready]
    return f"{len(ready)} of {len(told)} ready" + (f": {', '.join(ready)}" if ready else "")


def _volume(volume: VolumeLook | NotVisible) -> str:
    if isinstance(volume, NotVisible):
        return str(volume)
    told = f"{size(volume.free_bytes)} free of {size(volume.total_bytes)} at {volume.path}"
    return f"{told}; " + (f"sentinel {volume.sentinel[:8]}" if volume.sentinel else "no sentinel")


def _since(when: datetime | None, now: datetime) -> str:
    return "" if when is None else f" (oldest {age(now - when)})"


def _number(value: int | NotVisible) -> str:
    return _UNSEEN if isinstance(value, NotVisible) else str(value)


def _rate(value: float | NotVisible) -> str:
    return _UNSEEN if isinstance(value, NotVisible) else f"{value:.1f}/s"


def age(span: timedelta) -> str:
    """A span of time in its largest unit, such as `3 h`."""
    seconds = max(0, int(span.total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def size(number: int) -> str:
    """Bytes with a binary prefix, such as `1.5 GiB`."""
    value = float(number)
    for prefix in ("", "Ki", "Mi", "Gi"):
        if value < 1024:
            return f"{value:.1f} {prefix}B" if prefix else f"{number} B"
        value /= 1024
    return f"{value:.1f} TiB"
