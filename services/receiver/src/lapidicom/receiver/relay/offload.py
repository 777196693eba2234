"""How a relay does what may wait for the disk: beside its event loop."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Offload(Protocol):
    """Runs a function that may wait for the disk, in the product by a thread."""

    def __call__(self, function: Callable[[], T], /) -> Awaitable[T]:
        """Run it."""
