"""What cannot be seen from where the command runs: told with its reason, never guessed. Pure."""

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NotVisible:
    """Stands in place of a value that cannot be known here.

    Attributes:
        reason: why, and which setting would make it visible.
    """

    reason: str

    def __str__(self) -> str:
        return f"not visible from here ({self.reason})"


def seen(value: T | NotVisible, otherwise: T) -> T:
    """The value, or what stands for it where only a number can stand."""
    return otherwise if isinstance(value, NotVisible) else value
