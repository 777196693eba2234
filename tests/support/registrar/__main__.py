"""Runs the registrar as the product does, but with short times and a port that can kill the process.

`python -m tests.support.registrar '{"pace": {"read": 2}, "kill_on": "1.2.3", "kill_at": 5}'`
"""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx
import uvloop

from lapidicom.common import logs
from lapidicom.common.broker import Envelope, Publisher
from lapidicom.common.settings import LogSection
from lapidicom.common.topology import Topology
from lapidicom.registrar.__main__ import read_settings
from lapidicom.registrar.app import Registrar, broker_supply, serve
from lapidicom.registrar.cube.contract import NO_FIELDS
from lapidicom.registrar.cube.outcomes import Sight
from lapidicom.registrar.cube.volume import Volume
from lapidicom.registrar.pace import Pace

SHORT = Pace(
    connect=1,
    read=2,
    probe=1,
    probe_shared=0.5,
    first_pause=0.1,
    longest_pause=0.5,
    longest_outage_pause=0.4,
    look=1,
    publish=3,
    suspect=0.2,
    window=0.5,
    clocks=0,
    volume_watch=0.2,
    volume_look=0.5,
    parking=4,
)


@dataclass(frozen=True)
class Options:
    """How this registrar differs from the product.

    Attributes:
        pace: changes to the short times.
        kill_on: the process kills itself when it is about to POST a body with this text.
        kill_at: the process kills itself at the n-th POST of a registration.
        answered: the kill comes after CUBE's answer, not before the POST.
        kill_publish: the process kills itself `before` or `after` its first onward publish: between that
            and the ack.
        lives: how often it is started again after a kill; without the cost of new interpreters.
        hanging_volume: each look for a file hangs for ever, as on a network file system without its server.
        claimed: a receiver has used the volume before.
    """

    pace: dict[str, float] = field(default_factory=dict)
    kill_on: str = ""
    kill_at: int = 0
    answered: bool = False
    kill_publish: str = ""
    lives: int = 1
    hanging_volume: bool = False
    claimed: bool = True


def die() -> None:
    """End at once, as in a crash."""
    os.kill(os.getpid(), signal.SIGKILL)


class KillingPublisher:
    """Publishes, once at most."""

    def __init__(self, publisher: Publisher, when: str) -> None:
        self._publisher = publisher
        self._when = when

    async def publish(self, envelope: Envelope) -> None:
        """Publish one message, or die."""
        if self._when == "before":
            die()
        await self._publisher.publish(envelope)
        if self._when == "after":
            die()

    async def ended(self) -> None:
        """Wait for the end of the connection."""
        await self._publisher.ended()


class KillingTransport(httpx.AsyncHTTPTransport):
    """Sends requests, until it is the process's last one."""

    posts = 0

    def __init__(self, options: Options) -> None:
        super().__init__()
        self._options = options

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, or die."""
        last = request.url.path.endswith(("/pacsfiles/", "/pacs/series/")) and self._is_the_last(
            request.content
        )
        if last and not self._options.answered:
            die()
        response = await super().handle_async_request(request)
        if last:
            die()
        return response

    def _is_the_last(self, body: bytes) -> bool:
        if body == NO_FIELDS:
            return False
        KillingTransport.posts += 1
        text = self._options.kill_on.encode()
        return KillingTransport.posts == self._options.kill_at or (bool(text) and text in body)


class HangingVolume(Volume):
    """Our mount of the volume, which hangs at each look for a file."""

    def look(self, _: str) -> Sight:
        """Block in a read of a pipe into which nobody writes."""
        reading, _writing = os.pipe()
        os.read(reading, 1)
        return Sight.THERE


def supply_of(options: Options) -> Any:
    """A supply of publishers, the product's or a deadly one."""

    async def supply(amqp_url: str, declared: Topology, pace: Pace) -> AsyncGenerator[Any, None]:
        async with aclosing(broker_supply(amqp_url, declared, pace)) as publishers:
            async for publisher in publishers:
                yield KillingPublisher(publisher, options.kill_publish)

    return supply


def live(lives: int) -> None:
    """Return in a child, and in another one each time that a child was killed."""
    for _ in range(lives):
        child = os.fork()
        if child == 0:
            return
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(os.waitstatus_to_exitcode(status))
    sys.exit("killed in each of its lives")


def main() -> None:
    """Run until SIGTERM, or until the registrar kills itself."""
    options = Options(**json.loads(sys.argv[1]))
    settings = read_settings(os.environ)
    if options.lives > 1:
        live(options.lives)
    logs.configure(settings.slice(LogSection), service="registrar")
    pace: dict[str, Any] = asdict(SHORT) | options.pace
    registrar = Registrar(
        settings,
        Pace(**pace),
        lambda _: KillingTransport(options),
        supply_of(options),
        HangingVolume(settings.files_root, settings.spool) if options.hanging_volume else None,
    )
    uvloop.run(serve(settings, registrar))


if __name__ == "__main__":
    main()
