"""Looks at the volume each second, in a thread of its own: if the file system hangs, reports go on."""

import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

import structlog

INTERVAL: Final = 1.0
STALLED_AFTER: Final = 5.0
"""Seconds without an answer of the file system after which the volume counts as unusable."""


class VolumeWatch:
    """Calls `watch` again and again.

    Args:
        watch: looks at the volume once; False says that only a fresh process can use it.
    """

    def __init__(self, watch: Callable[[], bool]) -> None:
        self.must_restart = False
        self._watch = watch
        self._answered = monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="volume-watch", daemon=True)
        self._thread.start()

    def fault(self) -> str | None:
        """That the volume does not answer; None if it does."""
        stalled = monotonic() - self._answered
        return f"volume has not answered for {stalled:.0f} s" if stalled > STALLED_AFTER else None

    def close(self) -> None:
        """Look no more. A look under way may be hanging, so it is not waited for longer than a moment."""
        self._stop.set()
        self._thread.join(INTERVAL)

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL):
            try:
                is_usable = self._watch()
            except Exception:  # noqa: BLE001 -- logged; while it goes on, the volume counts as not answering
                structlog.get_logger().exception("volume_watch_failed")
                continue
            if not is_usable:
                self.must_restart = True
            self._answered = monotonic()
