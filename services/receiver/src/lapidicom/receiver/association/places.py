"""Places for associations: a listener's share of CHRIS_LISTENER_THREADS, given first come first served.

A place belongs to the thread that acquired it; that is the association's own thread.
"""

import threading
from collections import deque
from typing import Final

MOST_WAITING: Final = 64
"""Associations that wait for a place, beyond the number of places; more are rejected at once."""


class _Waiter:
    __slots__ = ("given", "thread")

    def __init__(self, thread: int) -> None:
        self.thread: Final = thread
        self.given = threading.Event()


class Places:
    """A bounded number of places.

    Args:
        total: how many there are.
    """

    def __init__(self, total: int) -> None:
        self.total: Final = total
        self._lock = threading.Lock()
        self._holders: set[int] = set()
        self._waiters: deque[_Waiter] = deque()
        self._closed = False

    @property
    def in_use(self) -> int:
        """Places taken now."""
        return len(self._holders)

    def acquire(self, timeout: float) -> bool:
        """Take a place for the calling thread, waiting for it behind those that came before.

        Args:
            timeout: seconds; 0 does not wait.

        Returns:
            False if none came free in time, too many wait already, or the listener takes nothing new.
        """
        thread = threading.get_ident()
        with self._lock:
            if self._closed:
                return False
            if len(self._holders) < self.total and not self._waiters:
                self._holders.add(thread)
                return True
            if len(self._waiters) >= MOST_WAITING + self.total:
                return False
            waiter = _Waiter(thread)
            self._waiters.append(waiter)
        waiter.given.wait(timeout)
        with self._lock:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            return thread in self._holders

    def release(self, thread: int | None = None) -> None:
        """Give a place back, to whoever waits longest. Harmless if that was done already.

        Args:
            thread: whose place it is; the calling thread's, if not given.
        """
        with self._lock:
            holder = threading.get_ident() if thread is None else thread
            if holder not in self._holders:
                return
            self._holders.remove(holder)
            if self._waiters:
                waiter = self._waiters.popleft()
                self._holders.add(waiter.thread)
                waiter.given.set()

    def close(self) -> None:
        """Give no place any more; those who wait get none, at once."""
        with self._lock:
            self._closed = True
            for waiter in self._waiters:
                waiter.given.set()
            self._waiters.clear()
