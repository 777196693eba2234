"""Journals whose listener was seen to end: the relay is told of each, and a new relay of all again."""

from collections.abc import Callable
from typing import Final

from lapidicom.receiver.control import LifeEnded

_MOST_KEPT: Final = 1000
"""Lives beyond that are found by the relay itself, by their heartbeat."""


class EndedLives:
    """The lives to tell of, and how many of them the present relay was told."""

    def __init__(self) -> None:
        self._lives: list[str] = []
        self._told = 0

    def add(self, life: str) -> None:
        """A listener process was seen to end, or went on with another journal."""
        if life not in self._lives:
            self._lives.append(life)
        if len(self._lives) > _MOST_KEPT:
            del self._lives[0]
            self._told = max(0, self._told - 1)

    def start_anew(self) -> None:
        """A new relay process knows nothing yet."""
        self._told = 0

    def tell(self, send: Callable[[LifeEnded], bool]) -> bool:
        """Send what is untold, until `send` says that it cannot take more now.

        Returns:
            Whether everything is told.
        """
        while self._told < len(self._lives):
            if not send(LifeEnded(self._lives[self._told])):
                return False
            self._told += 1
        return True
