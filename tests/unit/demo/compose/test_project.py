"""What the engine says of a container's health, in one word."""

from typing import Any

import pytest

from demo.compose.project import compose_command, health_of


@pytest.mark.parametrize(
    ("state", "health"),
    [
        ({"Status": "running", "Health": {"Status": "healthy"}}, "healthy"),
        ({"Status": "running", "Health": {"Status": "starting"}}, "starting"),
        ({"Status": "exited", "Health": {"Status": "healthy"}}, "exited"),
        ({"Status": "running"}, "running"),
    ],
)
def test_only_a_running_container_can_be_healthy(state: dict[str, Any], health: str) -> None:
    assert health_of(state) == health


def test_compose_is_the_one_that_is_named() -> None:
    assert compose_command({"COMPOSE": "podman compose"}) == ["podman", "compose"]
