"""Runs the registrar as the product does, but with short times and a port that can kill the process.

`python -m tests.support.registrar '{"pace": {"read": 2}, "kill_on": "1.2.3", "kill_at": 5}'`
"""

import json
import os
import signal
import sys
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx
import uvloop

from lapidicom.common import logs
from lapidicom.common.settings import LogSection
from lapidicom.registrar.__main__ import read_settings
from lapidicom.registrar.app import Pace, Registrar, serve

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
)


@dataclass(frozen=True)
class Options:
    """How this registrar differs from the product.

    Attributes:
        pace: changes to the short times.
        kill_on: the process kills itself when it is about to POST a body with this text.
        kill_at: the process kills itself at the n-th POST of a registration.
        answered: the kill comes after CUBE's answer, not before the POST.
    """

    pace: dict[str, float] = field(default_factory=dict)
    kill_on: str = ""
    kill_at: int = 0
    answered: bool = False


class KillingTransport(httpx.AsyncHTTPTransport):
    """Sends requests, until it is the process's last one."""

    posts = 0

    def __init__(self, options: Options) -> None:
        super().__init__()
        self._options = options

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, or die."""
        last = request.url.path.endswith("/pacsfiles/") and self._is_the_last(request.content)
        if last and not self._options.answered:
            os.kill(os.getpid(), signal.SIGKILL)
        response = await super().handle_async_request(request)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return response

    def _is_the_last(self, body: bytes) -> bool:
        KillingTransport.posts += 1
        text = self._options.kill_on.encode()
        return KillingTransport.posts == self._options.kill_at or (bool(text) and text in body)


def main() -> None:
    """Run until SIGTERM, or until the registrar kills itself."""
    options = Options(**json.loads(sys.argv[1]))
    settings = read_settings(os.environ)
    logs.configure(settings.slice(LogSection), service="registrar")
    pace: dict[str, Any] = asdict(SHORT) | options.pace
    uvloop.run(serve(settings, Registrar(settings, Pace(**pace), lambda: KillingTransport(options))))


if __name__ == "__main__":
    main()
