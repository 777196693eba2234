"""Has a series come? Decided by pure code from two looks at its folder and its markers.

Nobody says that a series is whole. It has settled when no association may bring more of it, and nothing has
changed for a while. Times are the caller's, in seconds since the epoch: they travel with messages.
"""

from dataclasses import dataclass, replace
from typing import Final

MISSING_SECONDS: Final = 3600.0
"""After which files that a receiver has counted, and we do not see, make a series a dead letter."""

FILES_MISSING: Final = "files-missing"

LONGEST_PAUSE: Final = 60.0
"""Between two looks at a series that is open or lacks files: each association sends a message at its end."""

_PAUSES: Final = 4
"""Such a series is looked at again after a fourth of the time for which it has been watched."""

EARLY: Final = 0.1
"""Seconds by which a delay queue may be early."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of a series.

    Attributes:
        count: DICOM files in its folder.
        touched: when its folder, or that of its markers, was changed last: ns of the volume's clock.
        is_open: an association may bring more of it, or it is being healed.
    """

    count: int
    touched: int
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Watch:
    """What travels with a series that settles.

    Attributes:
        count: DICOM files at the last look.
        touched: as of the last look.
        since: when that was seen first, without a marker.
        first_look: when the series was looked at first.
    """

    count: int
    touched: int
    since: float
    first_look: float


@dataclass(frozen=True, slots=True)
class Known:
    """What others say of a series.

    Attributes:
        files: DICOM files in its folder as receivers have counted them; None if none has.
        expected: instances that the PACS has; None if it was not asked.
    """

    files: int | None = None
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class SeriesPatience:
    """How long a series may take.

    Attributes:
        settle: seconds without a change after which it has come.
        incomplete: seconds without a change for which the rest of what is expected is waited for.
        missing: seconds without a change after which missing files are given up.
    """

    settle: float
    incomplete: float
    missing: float = MISSING_SECONDS


@dataclass(frozen=True, slots=True)
class LookAgain:
    """It may not have come yet.

    Attributes:
        seconds: after which to look again.
        watch: what travels until then.
    """

    seconds: float
    watch: Watch


@dataclass(frozen=True, slots=True)
class Settled:
    """To be registered.

    Attributes:
        look: with which it had settled; not to be registered with any other one.
    """

    look: Look


@dataclass(frozen=True, slots=True)
class Missing:
    """Files that receivers stored are not there.

    Attributes:
        reason: of the dead letter.
    """

    reason: str = FILES_MISSING


Decision = LookAgain | Settled | Missing


def decide(before: Watch | None, look: Look, known: Known, patience: SeriesPatience, now: float) -> Decision:
    """Decide what becomes of a series.

    Args:
        before: what the last look has left; None at the first one.
        look: at its markers first, then at its folder: what ended associations brought is in it.
        known: of receivers and the PACS.
        patience: how long it may take.
        now: seconds since the epoch, before the look.
    """
    watch = _watch(before, look, now)
    quiet = now - watch.since + EARLY
    lacks_files = look.count < max(known.files or 0, 1)
    if lacks_files and not look.is_open and quiet >= patience.missing:
        return Missing()
    if look.is_open or lacks_files:
        return LookAgain(min((now - watch.first_look) / _PAUSES, LONGEST_PAUSE), watch)
    if look.count == known.expected:
        return Settled(look)
    wanted = patience.settle
    if known.expected is not None and look.count < known.expected:
        wanted = max(patience.settle, patience.incomplete)
    return Settled(look) if quiet >= wanted else LookAgain(wanted - quiet, watch)


def _watch(before: Watch | None, look: Look, now: float) -> Watch:
    if before is None:
        return Watch(look.count, look.touched, now, now)
    if look.is_open or (look.count, look.touched) != (before.count, before.touched):
        return Watch(look.count, look.touched, now, before.first_look)
    # The clock of the registrar that looked before may be ahead of ours.
    return replace(before, since=min(before.since, now), first_look=min(before.first_look, now))


def pause(seconds: float, delays: tuple[int, ...]) -> int:
    """The delay queue for a wait: the longest that is not longer than the wait, or else the shortest.

    Args:
        seconds: of the wait.
        delays: of the delay queues, ascending.
    """
    return max((delay for delay in delays if delay <= seconds + EARLY), default=delays[0])
