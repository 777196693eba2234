"""A slot of the process tree that is always to be filled: its child is started, watched and replaced."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol, Self

import structlog

from lapidicom.receiver.control import Report
from lapidicom.receiver.loops import RunningTime
from lapidicom.receiver.supervisor.child import Child, Role
from lapidicom.receiver.supervisor.state import SILENCE, ListenerState

_LOST_CONTROL: Final = 10.0
"""Seconds after the last report in which a child that closed its control socket has to end."""

FIRST_DELAY: Final = 0.1
LONGEST_DELAY: Final = 10.0
"""Seconds."""

STEADY_AFTER: Final = 30.0
"""Seconds after which a child counts as having worked: its end starts the series of delays anew."""

START: Final = 120.0
"""Seconds at least until the first report, which comes after imports, the checks of the volume and a new
journal: on a busy machine or a slow file system these take long, and a fresh process would be no faster."""


class SlotOwner(Protocol):
    """Who acts on what happens to the children: the supervisor."""

    def child_started(self, child: Child) -> None:
        """The process of a child was started."""

    def child_reported(self, child: Child, report: Report) -> None:
        """A report came; `child.report` is still the one before."""

    def child_ended(self, child: Child) -> None:
        """The process of a child has ended; all its reports are read."""


class Slot:
    """Keeps one child running until `stop_replacing`.

    Args:
        role: what the child does.
        index: which one of its role it is.
        launch: starts a process.
        owner: acts on what happens to the child.
        timeout: seconds without a report after which the child is killed, and so replaced.
    """

    def __init__(
        self,
        role: Role,
        index: int,
        launch: Callable[[Role, int], Child],
        owner: SlotOwner,
        *,
        timeout: float,
    ) -> None:
        self.role = role
        self.index = index
        self.child: Child | None = None
        self._launch = launch
        self._owner = owner
        self._timeout = timeout
        self._watchdog: Watchdog | None = None
        self._replacement = ReplacementDelay()
        self._unusable: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._replaces = True
        self._log = structlog.get_logger().bind(role=role.value, index=index)

    @property
    def state(self) -> ListenerState:
        """What is known of the child."""
        child = self.child
        if child is None:
            return ListenerState(self.index, False, 0, None, 0.0, self._unusable)
        unusable = child.unusable or self._unusable
        return ListenerState(self.index, child.takes_packets, child.handed, child.report, child.age, unusable)

    @property
    def will_be_live(self) -> bool:
        """Whether a live child is to be expected within seconds."""
        if self._timer is not None:
            return self._timer.when() - asyncio.get_running_loop().time() < SILENCE
        return self.state.is_starting

    def start(self) -> None:
        """Start a process."""
        self._timer = None
        began = monotonic()
        try:
            child = self._launch(self.role, self.index)
        except Exception as error:  # noqa: BLE001 -- logged; the slot must not stay empty
            self._log.error("child_not_started", exc_info=error)
            self._replace(monotonic() - began)
            return
        self.child = child
        self._watchdog = Watchdog(self._timeout, child.started_at)
        self._log.info("child_started", child=child.pid)
        asyncio.get_running_loop().add_reader(child.fileno(), self.read)
        self._owner.child_started(child)

    def read(self) -> None:
        """Take in the reports that have arrived."""
        child = self.child
        if child is None:
            return
        child.read(self._owner.child_reported)
        if not child.is_open:
            asyncio.get_running_loop().remove_reader(child.fileno())

    def reap(self) -> None:
        """See whether the process has ended, and have it replaced if so."""
        child = self.child
        if child is None:
            return
        ended = child.poll()
        if ended is None:
            if not child.is_open and child.age > _LOST_CONTROL:
                child.kill()
            return
        self.read()
        asyncio.get_running_loop().remove_reader(child.fileno())
        self.child = None
        self._unusable = child.unusable
        self._log.log(
            logging.WARNING if self._replaces else logging.INFO,
            "child_ended",
            child=child.pid,
            status=ended.status,
            signal=ended.signal,
            lived=round(child.lived, 3),
        )
        try:
            self._owner.child_ended(child)
        finally:
            child.close()
            self._replace(child.lived)

    def watch(self) -> None:
        """Kill a child that has been silent for too long. To be called each second."""
        self.read()
        child, watchdog = self.child, self._watchdog
        if child is None or watchdog is None:
            return
        if watchdog.is_due(monotonic(), reported_at=child.reported_at, has_reported=child.report is not None):
            self._watchdog = None  # once: a process that waits for a device ends when the device answers
            self._log.error("child_hung", child=child.pid, silent=round(watchdog.silent, 1))
            child.kill()

    def stop_replacing(self) -> None:
        """From now on a child that ends is not replaced, nor one that waits to be."""
        self._replaces = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _replace(self, lived: float) -> None:
        if not self._replaces:
            return
        self._replacement = self._replacement.after(lived)
        self._timer = asyncio.get_running_loop().call_later(self._replacement.delay, self.start)


@dataclass(frozen=True)
class ReplacementDelay:
    """How long to wait before a child that ended is replaced: 0.1 s, doubling up to 10 s.

    Attributes:
        delay: seconds until the replacement that is due now; 0 before the first start.
    """

    delay: float = 0.0

    def after(self, lived: float) -> Self:
        """The delay after a child that lived so many seconds."""
        if self.delay == 0.0 or lived >= STEADY_AFTER:
            return type(self)(FIRST_DELAY)
        return type(self)(min(self.delay * 2, LONGEST_DELAY))


class Watchdog:
    """Tells for how long one child has been silent, as far as the supervisor was there to hear it.

    Args:
        timeout: CHRIS_CHILD_TIMEOUT, seconds.
        now: when the child was started, monotonic seconds.

    Attributes:
        silent: seconds, at the last look.
    """

    def __init__(self, timeout: float, now: float) -> None:
        self._timeout = timeout
        self._time = RunningTime(now)
        self._reported_at = now
        self._heard = 0.0
        self.silent = 0.0

    def is_due(self, now: float, *, reported_at: float, has_reported: bool) -> bool:
        """Look at the child, each second; what it has sent must have been read.

        Args:
            now: monotonic seconds.
            reported_at: when its last report came; without one, when it was started.
            has_reported: whether a report came at all.

        Returns:
            Whether it has been silent for too long.
        """
        seconds = self._time.look(now)
        if reported_at > self._reported_at:
            self._reported_at, self._heard = reported_at, seconds
        self.silent = seconds - self._heard
        return self.silent >= (self._timeout if has_reported else max(self._timeout, START))
