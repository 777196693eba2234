"""The result of one check, as a value. Pure."""

from enum import StrEnum
from typing import Annotated, Final

from lapidicom.cli.answers import Answer, Display


class Result(StrEnum):
    """How a check ended."""

    PASS = "pass"  # noqa: S105 (a result)
    FAIL = "fail"
    NOT_VISIBLE = "not visible"


_STYLES: Final = {Result.PASS.value: "green", Result.FAIL.value: "bold red", Result.NOT_VISIBLE.value: "dim"}


class Check(Answer):
    """One check: what was seen, and what to do if it failed, or to make it visible."""

    area: str
    name: str
    result: Annotated[Result, Display(style=_STYLES)]
    seen: str
    remedy: str = ""


def passed(area: str, name: str, seen: str) -> Check:
    """A check that found all well."""
    return Check(area=area, name=name, result=Result.PASS, seen=seen)


def failed(area: str, name: str, seen: str, remedy: str) -> Check:
    """A check that found a fault."""
    return Check(area=area, name=name, result=Result.FAIL, seen=seen, remedy=remedy)


def unseen(area: str, name: str, reason: str, remedy: str = "") -> Check:
    """A check that cannot be made from here."""
    return Check(area=area, name=name, result=Result.NOT_VISIBLE, seen=reason, remedy=remedy)
