"""The switches of the stand-in: how it is told to be slow, to fail, to hang, to refuse."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.support.cube.contract import JSON


@dataclass
class Failure:
    """A scripted answer to requests other than control requests.

    Attributes:
        count: how many more requests it answers; None = all.
        method: only requests of this method; None = every request, the probe's too.
        stored: a POST is carried out first, so that the failure comes after the registration.
        cut: the answer breaks off after its head.
        path_contains: only requests with this text in their body.
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


Vanishing = Literal["before the row", "behind the row"]
"""When the volume goes while a file is being registered."""


@dataclass
class Faults:
    """What is wrong with this CUBE just now.

    Attributes:
        dripping: seconds between two bytes of an answer's body; 0 = the body is sent at once.
        refused: values that CUBE refuses, by field, with the messages that it gives.
        vanishing: the volume goes in the middle of the next registration.
        worker_stopped: what is to be deleted stays pending (v6).
        no_broker: a deletion is a 500, and stays pending (v6).
        breaking_off: the next series stays half done: its files are registered, and it is not (v6).
        healed: set when all this has ended.
    """

    seconds: float = 0.0
    workers: asyncio.Semaphore | None = None
    hanging: bool = False
    dripping: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    refusing: bool = False
    database_down: bool = False
    volume_gone: bool = False
    vanishing: Vanishing | None = None
    refused: dict[str, tuple[Any, list[str]]] = field(default_factory=dict)
    worker_stopped: bool = False
    no_broker: bool = False
    breaking_off: bool = False
    healed: asyncio.Event = field(default_factory=asyncio.Event)

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
