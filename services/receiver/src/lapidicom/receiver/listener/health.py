"""Whether a listener stores what it is sent, judged by its results, and whether its volume answers.

A volume can look well and take nothing: folders without write access, a stale mount, a journal whose
writes fail. So refusals for want of resources are counted, and while there is a doubt the listener tries
a store of its own: a receiver that is not ready gets no instances that could show that it is well again.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final

import structlog

from lapidicom.receiver.errors import OutOfResources
from lapidicom.receiver.loops import RunningTime
from lapidicom.receiver.storage.refusals import Refusals
from lapidicom.receiver.storage.volume import Fault

MOST_REFUSALS: Final = 20
"""Refusals with no success between them after which the listener is not ready."""

TRY_SECONDS: Final = 10.0
"""Between two stores of its own while there is a doubt."""

HANG: Final = Fault("volume has not answered")

SHARED_SECONDS: Final = 60.0
"""For so long a refusal for want of space shows as degraded, unless an instance is stored."""

LOOK_SECONDS: Final = 1.0
"""Between two looks at the volume."""

STALLED_AFTER: Final = 5.0
"""Seconds without an answer of the file system after which the volume counts as unusable."""


class StoreHealth:
    """Keeps what follows from refusals and successes. `look` is called each second, by one thread.

    A refusal that only this receiver would make casts a doubt; a success ends it. In doubt the listener
    tries a store of its own every TRY_SECONDS: the listener is not ready while that fails, and from the
    MOST_REFUSALS-th refusal until it succeeds.

    Args:
        refusals: of this listener.
        stored: number of instances stored so far.
        try_store: stores something and takes it away; raises OutOfResources.
        clock: seconds.

    Attributes:
        fault: why the listener is to be taken for unfit; None if it is not.
        degraded: why instances are refused by every receiver on this volume; None if they are not.
    """

    def __init__(
        self,
        refusals: Refusals,
        stored: Callable[[], int],
        try_store: Callable[[], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.fault: str | None = None
        self.degraded: str | None = None
        self._refusals = refusals
        self._stored = stored
        self._try_store = try_store
        self._clock = clock
        self._stored_before = 0
        self._doubts = 0
        self._next_try = 0.0
        self._degraded_until = 0.0
        self._was_explained = False
        self._log = structlog.get_logger()

    def look(self, *, is_explained: bool) -> None:
        """Take in what has happened since the last look; in doubt and when it is time, try a store.

        Args:
            is_explained: whether volume or journal know of a fault and look themselves for its end. A
                store is tried as soon as they see it, and what all share is over with it.
        """
        now = self._clock()
        own, shared = self._refusals.take()
        stored = self._stored()
        if stored != self._stored_before:
            self._stored_before = stored
            self._be_well()
            self.degraded = None
            if own.number:  # nobody knows which came last; if nothing is stored from now on, a try tells
                self._doubts, self._next_try = 1, now + TRY_SECONDS
            return
        was_explained, self._was_explained = self._was_explained, is_explained
        is_known = is_explained or was_explained
        if shared.number and not is_known:
            self.degraded, self._degraded_until = shared.reason, now + SHARED_SECONDS
        elif now >= self._degraded_until:
            self.degraded = None
        if is_known:
            self._next_try = now
        elif own.number and not self._doubts:
            self._next_try = now + TRY_SECONDS
        self._doubts += own.number
        if self._doubts >= MOST_REFUSALS and self.fault is None:
            self.fault = f"{self._doubts} instances refused in a row: {own.reason}"
            self._log.warning("store_unfit", reason=self.fault)
        if self._doubts and not is_explained and now >= self._next_try:
            self._try(now)

    def _try(self, now: float) -> None:
        self._next_try = now + TRY_SECONDS
        try:
            self._try_store()
        except OutOfResources as error:
            if error.is_shared:
                self.degraded, self._degraded_until = str(error), now + SHARED_SECONDS
                self._be_well()
                return
            if self.fault is None:
                self._log.warning("store_unfit", reason=str(error))
            self.fault = f"a store of its own failed: {error}"
        else:
            self._be_well()

    def _be_well(self) -> None:
        self._doubts = 0
        if self.fault is not None:
            self.fault = None
            self._log.info("store_fit")


class VolumeWatch:
    """Looks at the volume each second, in a thread of its own: if the file system hangs, reports go on.

    Args:
        watch: looks at the volume once; False says that only a fresh process can use it.
        clock: monotonic seconds.
    """

    def __init__(self, watch: Callable[[], bool], clock: Callable[[], float] = monotonic) -> None:
        self.must_restart = False
        self._watch = watch
        self._clock = clock
        self._time = RunningTime(clock())
        self._answers = self._answers_seen = 0
        self._answered = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="volume-watch", daemon=True)
        self._thread.start()

    def fault(self) -> str | None:
        """That the volume does not answer; None if it does. To be called each second, by one thread."""
        now = self._time.look(self._clock())
        if self._answers != self._answers_seen:
            self._answers_seen, self._answered = self._answers, now
        stalled = now - self._answered
        return f"volume has not answered for {stalled:.0f} s" if stalled > STALLED_AFTER else None

    def close(self) -> None:
        """Look no more. A look under way may be hanging, so it is not waited for longer than a moment."""
        self._stop.set()
        self._thread.join(LOOK_SECONDS)

    def _run(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            try:
                is_usable = self._watch()
            except Exception:  # noqa: BLE001 -- logged; while it goes on, the volume counts as not answering
                structlog.get_logger().exception("volume_watch_failed")
                continue
            if not is_usable:
                self.must_restart = True
            self._answers += 1


@dataclass(frozen=True, slots=True)
class _Held:
    """A thread that may be held up by the volume.

    Attributes:
        work: its number.
        since: seconds of running time, at the first look at it.
        is_given_up: whether its instance was answered.
    """

    work: int
    since: float
    is_given_up: bool = False


class StoreHangs:
    """Finds threads that the volume holds up in a call. Pure but for its clock; `look` is called each second.

    Args:
        timeout: CHRIS_STORE_TIMEOUT, seconds.
        clock: monotonic seconds.

    Attributes:
        fault: why instances are refused: while a thread has not come back that was given up.
        reason: why the listener is not ready: that, and long before.
    """

    def __init__(self, timeout: float, clock: Callable[[], float] = monotonic) -> None:
        self.fault: Fault | None = None
        self.reason: str | None = None
        self._timeout = timeout
        self._clock = clock
        self._time = RunningTime(clock())
        self._held: dict[int, _Held] = {}

    def look(self, works: Mapping[int, int]) -> list[int]:
        """Take a look at all threads.

        Args:
            works: of each connection: odd while its thread may be held up, and another number each time.

        Returns:
            The connections that are to be given up now.
        """
        now, before = self._time.look(self._clock()), self._held
        self._held = {}
        given_up = []
        for number, work in works.items():
            if work & 1:
                held = before.get(number)
                if held is None or held.work != work:
                    held = _Held(work, now)
                elif not held.is_given_up and now - held.since >= self._timeout:
                    held = replace(held, is_given_up=True)
                    given_up.append(number)
                self._held[number] = held
        self.fault = HANG if any(held.is_given_up for held in self._held.values()) else None
        waiting = [now - held.since for held in self._held.values() if now - held.since >= self._timeout / 4]
        self.reason = (
            f"{HANG.reason} for {max(waiting):.0f} s, and holds up {len(waiting)} associations"
            if waiting
            else None
        )
        return given_up
