"""What verbs answer with: pydantic models, whose dump is --json, and how their fields look as text. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True)
class Display:
    """How a field of an answer looks as text.

    Attributes:
        title: in place of its name; empty for a table that needs none.
        style: rich's style at a terminal, or one for each value.
        hidden: it stands in the JSON document alone.
        right: numbers are aligned on the right.
        form: makes the text of a value.
        short: makes a shorter one for a terminal.
    """

    title: str | None = None
    style: str | Mapping[str, str] = ""
    hidden: bool = False
    right: bool = False
    form: Callable[[Any], str] = str
    short: Callable[[Any], str] | None = None


HIDDEN: Final = Display(hidden=True)
NUMBER: Final = Display(right=True)


class Answer(BaseModel):
    """What a verb answers, or a part of it; its dump is --json."""

    model_config = ConfigDict(frozen=True)

    shown: ClassVar[tuple[str, ...]] = ()
    """The fields that are text, too; all that are not hidden, if none is named."""

    def headline(self) -> Iterable[str]:
        """Sentences that stand before everything else."""
        return ()
