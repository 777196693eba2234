"""The result of one check, as a value. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from lapidicom.cli.errors import NotVisible


class Result(StrEnum):
    """How a check ended."""

    PASS = "pass"  # noqa: S105 (a result)
    FAIL = "fail"
    NOT_VISIBLE = "not visible"


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        area: `volume`, `RabbitMQ`, `CUBE`, `settings` or `clock`.
        name: what is checked.
        told: what was seen.
        remedy: what to do if it failed, or to make it visible.
    """

    area: str
    name: str
    result: Result
    told: str
    remedy: str = ""


def passed(area: str, name: str, told: str) -> Check:
    """A check that found all well."""
    return Check(area, name, Result.PASS, told)


def failed(area: str, name: str, told: str, remedy: str) -> Check:
    """A check that found a fault."""
    return Check(area, name, Result.FAIL, told, remedy)


def unseen(area: str, name: str, reason: NotVisible | str, remedy: str = "") -> Check:
    """A check that cannot be made from here."""
    told = reason.reason if isinstance(reason, NotVisible) else reason
    return Check(area, name, Result.NOT_VISIBLE, told, remedy)
