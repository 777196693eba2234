"""What a relay has done since its process began."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """Records by what became of them; only ever grows."""

    published: int = 0
    set_aside: int = 0
    never_answered: int = 0
