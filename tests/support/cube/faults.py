"""The switches of the stand-in: how it is told to be slow, to fail, to hang, to refuse."""

import asyncio
from dataclasses import dataclass, field

from tests.support.cube.contract import JSON


@dataclass
class Failure:
    """A scripted answer to requests other than control requests.

    Attributes:
        count: how many more requests it answers; None = all.
        method: only requests of this method; None = every request, the probe's too.
        stored: a POST is carried out first, so that the failure comes after the registration.
        cut: the answer breaks off after its head.
    """

    status: int = 500
    body: str = '{"error":"Internal server error"}'
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    count: int | None = None
    method: str | None = "POST"
    stored: bool = False
    cut: bool = False
    path_contains: str = ""


@dataclass
class Faults:
    """What is wrong with this CUBE just now."""

    seconds: float = 0.0
    workers: asyncio.Semaphore | None = None
    hanging: asyncio.Event | None = None
    failures: list[Failure] = field(default_factory=list)
    refusing: bool = False
    database_down: bool = False
    volume_gone: bool = False

    def failure_for(self, method: str, body: bytes) -> Failure | None:
        """Take the first scripted failure that fits the request."""
        for failure in self.failures:
            if failure.method not in (None, method):
                continue
            if failure.path_contains and failure.path_contains.encode() not in body:
                continue
            if failure.count is not None:
                failure.count -= 1
                if failure.count <= 0:
                    self.failures.remove(failure)
            return failure
        return None
