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


Routes = Mapping[str, Route]
"""By path; `<id>` stands for a number."""


def find(routes: Routes, path: str) -> tuple[Route | None, str]:
    """The route of a path, and its number."""
    route = routes.get(path)
    if route is not None:
        return route, ""
    head, _, key = path.rstrip("/").rpartition("/")
    if path.endswith("/") and key.isdigit():
        return routes.get(f"{head}/<id>/"), key
    return None, ""
