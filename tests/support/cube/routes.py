"""What a path of CUBE's API allows, as data: one table of routes for each generation."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from tests.support.cube.contract import Answer
from tests.support.cube.request import Request

Handler = Callable[[Request, str], Answer | Awaitable[Answer]]


@dataclass(frozen=True)
class Route:
    """What a path of the API allows, and to whom."""

    methods: Mapping[str, Handler]
    open_to_all: bool = False
    pacs_users_only: bool = False


Routes = Mapping[str, Route]
"""By path; `<id>` stands for a number, of which there is one at most."""


def find(routes: Routes, path: str) -> tuple[Route | None, str]:
    """The route of a path, and its number."""
    route = routes.get(path)
    if route is not None:
        return route, ""
    parts = path.split("/")
    numbers = [number for number, part in enumerate(parts) if part.isdigit()]
    if len(numbers) != 1:
        return None, ""
    key, parts[numbers[0]] = parts[numbers[0]], "<id>"
    return routes.get("/".join(parts)), key
