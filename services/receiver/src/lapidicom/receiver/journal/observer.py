"""Whom journal and relay tell of events."""

from typing import Protocol


class Observer(Protocol):
    """Told of each event by its stable name; a logger's method, in the product."""

    def __call__(self, event: str, /, **fields: object) -> object:
        """Take note."""
