"""Who is called with the events of journal and relay."""

from typing import Protocol


class Observer(Protocol):
    """Called with each event by its stable name; a logger's method, in the product."""

    def __call__(self, event: str, /, **fields: object) -> object:
        """Take note."""
