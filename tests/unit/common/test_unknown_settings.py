"""Misspelt settings are found."""

import pytest

from lapidicom.common.settings.unknown import unknown

KNOWN = {"CHRIS_LISTENER_THREADS", "CHRIS_SCP_AET", "CHRIS_PASSWORD", "PORT"}


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("CHRIS_LISTENER_TREADS", "CHRIS_LISTENER_THREADS"),
        ("CHRIS_SCP_AET_TITLE", "CHRIS_SCP_AET"),
        ("CHRIS_PASWORD_FILE", "CHRIS_PASSWORD"),
        ("CHRIS_ZZZZ_QQQQQQQQQQQQQ", None),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest_known_one(name: str, nearest: str | None) -> None:
    assert unknown([name, "CHRIS_SCP_AET"], KNOWN) == {name: nearest}


@pytest.mark.parametrize("name", ["CHRIS_SCP_AET", "CHRIS_PASSWORD_FILE", "PROT", "PATH", "AMQP_ULR"])
def test_known_names_and_those_of_others_are_not(name: str) -> None:
    assert unknown([name], KNOWN) == {}
