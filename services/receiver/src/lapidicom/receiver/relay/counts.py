"""What a relay has done since its process began."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """Records by what became of them, and corrupted places of journals; only ever grows."""

    published: int = 0
    never_answered: int = 0
    lines_bad: int = 0
