"""Finds CHRIS_* variables that nobody reads: a misspelt setting would otherwise be ignored in silence."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Final

from lapidicom.common.settings.load import variable
from lapidicom.common.settings.sections import Section

_PREFIX: Final = "CHRIS_"


def names(settings: type[Section]) -> frozenset[str]:
    """The variables that a settings class reads."""
    return frozenset(variable(field) for field in settings.model_fields.values())


def unknown(environ: Iterable[str], known: Collection[str]) -> dict[str, str | None]:
    """The CHRIS_* variables that are not among `known`, each with the known one that is most like it.

    Args:
        environ: names of the variables that are set.
        known: names that some service reads; NAME_FILE is known if NAME is.
    """
    found: dict[str, str | None] = {}
    for name in sorted(environ):
        if name.startswith(_PREFIX) and name not in known and name.removesuffix("_FILE") not in known:
            nearest = get_close_matches(name, known, n=1)
            found[name] = nearest[0] if nearest else None
    return found
