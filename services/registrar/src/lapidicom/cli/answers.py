"""What verbs answer with: pydantic models, whose dump is --json, and how their fields look as text. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, ClassVar, Final

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


@dataclass(frozen=True, slots=True)
class NotVisible:
    """Stands in place of a value that cannot be known from here; it is never guessed.

    Attributes:
        reason: why, and which setting would make it visible.
    """

    reason: str

    def __str__(self) -> str:
        return f"not visible from here ({self.reason})"


class Result(StrEnum):
    """How a check ended; the later ones are worse."""

    PASS = "pass"  # noqa: S105 (a result)
    NOT_VISIBLE = "not visible"
    NOTE = "note"
    """Nothing is wrong, but an operator should know it."""
    DEGRADED = "degraded"
    """It works, but somebody must see to it."""
    FAIL = "fail"
    """What is needed is not there: `status` says *down*."""

    @property
    def severity(self) -> int:
        """To be compared."""
        return list(Result).index(self)


_STYLES: Final = {
    Result.PASS.value: "green",
    Result.NOT_VISIBLE.value: "dim",
    Result.DEGRADED.value: "yellow",
    Result.FAIL.value: "bold red",
}


class Check(Answer):
    """One check: what was seen, also as a number, and what to do if it failed, or to make it visible."""

    area: str
    name: str
    result: Annotated[Result, Display(style=_STYLES)]
    seen: str
    remedy: Annotated[str, Display("what to do")] = ""
    count: Annotated[int | None, HIDDEN] = None


def checked(
    area: str,
    name: str,
    fault: str | NotVisible,
    well: str = "",
    remedy: str = "",
    *,
    bad: Result = Result.FAIL,
    count: int | None = None,
) -> Check:
    """A check, by the fault that it found.

    Args:
        area: what is checked, such as `volume`.
        name: of the check.
        fault: what is wrong; empty if nothing is; or why it cannot be seen from here.
        well: what is said where nothing is wrong.
        remedy: what to do about the fault, or to make it visible.
        bad: its result if something is wrong.
        count: a number that was seen.
    """
    check = partial(Check, area=area, name=name)
    if isinstance(fault, NotVisible):
        return check(result=Result.NOT_VISIBLE, seen=fault.reason, remedy=remedy)
    if fault:
        return check(result=bad, seen=fault, remedy=remedy, count=count)
    return check(result=Result.PASS, seen=well, count=count)


def worst(checks: Iterable[Check]) -> Result:
    """The result of the worst; PASS if there is none."""
    return max((one.result for one in checks), key=lambda result: result.severity, default=Result.PASS)
