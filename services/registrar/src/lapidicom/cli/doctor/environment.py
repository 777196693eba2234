"""Checks of settings and clock. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from lapidicom.cli.doctor.check import Check, failed, passed, unseen
from lapidicom.cli.errors import NotVisible
from lapidicom.common.settings import Section
from lapidicom.common.settings.unknown import names, unknown

TOLERANCE: Final = timedelta(seconds=5)
"""A Date header tells whole seconds; ages that people read bear this much."""


def check_settings(models: Mapping[str, type[Section]], environ: Mapping[str, str]) -> Check:
    """Whether somebody reads each CHRIS_* variable.

    Args:
        models: of the services that are installed here; of others nobody knows the names.
        environ: of this process.
    """
    name = "names of CHRIS_* variables"
    found = unknown(environ, frozenset[str]().union(*map(names, models.values())))
    if not found:
        return passed("settings", name, "all known")
    told = ", ".join(found)
    if "receiver" not in models:
        return unseen(
            "settings",
            name,
            f"{told}: unknown here, where no receiver is installed",
            "lapidicom doctor beside a receiver",
        )
    meant = ", ".join(f"{one}: is {nearest} meant?" for one, nearest in found.items() if nearest)
    return failed("settings", name, f"nobody reads {told}", meant or "remove them")


def check_clock(whose: str, theirs: datetime | NotVisible, ours: datetime) -> Check:
    """Whether our clock is that of another server; guarantees need none, but ages and history do.

    Args:
        whose: `CUBE` or `RabbitMQ`.
        theirs: its Date header.
        ours: when it came.
    """
    if isinstance(theirs, NotVisible):
        return unseen("clock", f"as {whose}'s", theirs)
    away = abs(theirs - ours)
    told = f"{away.total_seconds():.0f} s away"
    if away <= TOLERANCE:
        return passed("clock", f"as {whose}'s", told)
    return failed("clock", f"as {whose}'s", told, "synchronise both clocks (NTP)")
