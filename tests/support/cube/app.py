"""The stand-in CUBE as an ASGI application: the common rules, and the routes of its generation.

No framework: a test or a benchmark may ask thousands of times per second. Routes are data, so that
another generation is another table.
"""

import asyncio
import contextlib
import inspect
import json
from collections import Counter
from pathlib import Path

from tests.support.cube import contract
from tests.support.cube.accounts import PACS_USERS, Accounts
from tests.support.cube.contract import HTML, Answer
from tests.support.cube.faults import Failure, Faults
from tests.support.cube.rendering import acceptable, rendered
from tests.support.cube.request import (
    Receive,
    Request,
    RequestRefused,
    Scope,
    Send,
    json_answer,
    read_request,
)
from tests.support.cube.routes import find
from tests.support.cube.series import SeriesDatabase
from tests.support.cube.storage import Registrations, Volume
from tests.support.cube.v5 import GenerationV5
from tests.support.cube.v6 import GenerationV6


class StandInCube:
    """The application.

    Args:
        root: CUBE's storage root: a registration needs its file there.
        state: file that keeps the registrations over a restart.
        allowed_hosts: names in the Host header that are not answered with 400.
        connection_close: close the connection after each answer, as v5's workers do.
        unique: whether a path that is registered is refused, as CUBE does; else it is registered once more.
        race: seconds between the look into the database and each change of it.
        generation: 5, which registers files, or 6, which registers series.
        second: how long the second lasts that v6 lets pass between two counts of a folder's files.
    """

    def __init__(
        self,
        root: Path,
        state: Path | None = None,
        allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost"),
        *,
        connection_close: bool = False,
        unique: bool = True,
        race: float = 0.0,
        generation: int = 5,
        second: float = 1.0,
    ) -> None:
        self.volume = Volume(root)
        self.faults = Faults()
        self.answers: Counter[str] = Counter()
        self.under_way = 0
        self.most_under_way = 0
        self._allowed_hosts = allowed_hosts
        self._closing = [(b"connection", b"close")] if connection_close else []
        self._accounts = Accounts()
        self.registrations: Registrations | SeriesDatabase
        self._generation: GenerationV5 | GenerationV6
        if generation == 5:
            self.registrations = Registrations(state, unique=unique)
            self._generation = GenerationV5(
                self.registrations, self.volume, self._accounts, lambda: self.faults
            )
        else:
            self.registrations = SeriesDatabase(state, unique=unique)
            self._generation = GenerationV6(
                self.registrations, self.volume, self._accounts, lambda: self.faults
            )
            self._generation.second = second
        self._generation.gap = race
        self._routes = self._generation.routes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"no protocol of the stand-in: {scope['type']}")
        request = await read_request(scope, receive)
        if request.path.startswith("/_control/"):
            await self._send(send, self._control(request), request)
            return
        if isinstance(self._generation, GenerationV6):
            self._generation.carry_out_deletions()
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self._serve(request, send)
        finally:
            self.under_way -= 1

    async def _serve(self, request: Request, send: Send) -> None:
        faults = self.faults
        if faults.hanging:
            await faults.healed.wait()
        if faults.workers is not None:
            async with faults.workers:
                await asyncio.sleep(faults.seconds)
        elif faults.seconds:
            await asyncio.sleep(faults.seconds)
        failure = faults.failure_for(request.method, request.body)
        if failure is None or failure.stored:
            answer = await self.answer(request)
        if failure is not None:
            answer = _scripted(failure)
        self.answers[f"{request.method} {request.path} {answer.status}"] += 1
        await self._send(send, answer, request, cut=failure is not None and failure.cut)

    async def answer(self, request: Request) -> Answer:
        """Answer a request as CUBE would."""
        try:
            answer = await self._dispatch(request)
        except RequestRefused as refused:
            answer = refused.answer
        return rendered(answer, request)

    async def _dispatch(self, request: Request) -> Answer:
        host = request.header("host").rsplit(":", 1)[0]
        if host not in self._allowed_hosts:
            return contract.HOST_NOT_ALLOWED
        route, key = find(self._routes, request.path)
        if route is None:
            if find(self._routes, request.path + "/")[0] is not None:
                return Answer(301, HTML, "", (("Location", request.path + "/"),))
            return contract.NO_SUCH_PAGE
        if not acceptable(request.header("accept")):
            raise RequestRefused(contract.NOT_ACCEPTABLE)
        if self.faults.database_down and request.header("authorization"):
            raise RequestRefused(contract.SERVER_ERROR)
        user = self._accounts.authenticate(request, required=not route.open_to_all)
        reads = request.method in ("GET", "HEAD", "OPTIONS")
        # The framework asks for permission before it looks whether the method exists.
        if not (reads or route.open_to_all) and (user != "chris" or self.faults.refusing):
            raise RequestRefused(contract.FORBIDDEN)
        if route.pacs_users_only and user != "chris" and user not in PACS_USERS:
            raise RequestRefused(contract.FORBIDDEN)
        handler = route.methods.get(request.method)
        if handler is None:
            raise RequestRefused(contract.method_not_allowed(request.method))
        answer = handler(request, key)
        return await answer if inspect.isawaitable(answer) else answer

    def _control(self, request: Request) -> Answer:
        faults = self.faults
        options = json.loads(request.body) if request.body else {}
        match request.method, request.path.removeprefix("/_control/"):
            case "GET", "counts":
                return json_answer(self.registrations.counts())
            case "GET", "registrations":
                return json_answer(self.registrations.registrations())
            case "GET", "requests":
                return json_answer(
                    {
                        "answers": self.answers,
                        "attempts": self._generation.attempts,
                        "created": self.registrations.created,
                        "repeated": self.registrations.repeated,
                        "most_under_way": self.most_under_way,
                    }
                )
            case "POST", "slow":
                faults.seconds = options["seconds"]
                faults.workers = asyncio.Semaphore(options["workers"]) if options.get("workers") else None
            case "POST", "fail":
                faults.failures.append(Failure(**options))
            case "POST", "hang":
                faults.hanging = True
            case "POST", "drip":
                faults.dripping = options["seconds"]
            case "POST", "refuse-value":
                faults.refused[options["field"]] = options["value"], options["messages"]
            case "POST", "refuse":
                faults.refusing = True
            case "POST", "database-down":
                faults.database_down = True
            case "POST", "volume-gone":
                faults.volume_gone = True
            case "POST", "volume-vanishes":
                faults.vanishing = options["when"]
            case "POST", "volume-swapped":
                self.volume.swap(other=options["other"])
            case "POST", "race":
                self._generation.gap = options["seconds"]
            case "POST", "unique":
                self.registrations.unique = options["unique"]
            case "POST", "worker-stopped":
                faults.worker_stopped = True
            case "POST", "no-broker":
                faults.no_broker = True
            case "POST", "break-off":
                faults.breaking_off = True
            case "POST", "invalidate-tokens":
                self._accounts.invalidate_tokens()
            case "POST", "heal":
                faults.healed.set()
                self.faults = Faults()
                self.volume.put_back()
            case "POST", "forget":
                self.registrations.clear()
                self.answers.clear()
                self._generation.attempts.clear()
                self.most_under_way = 0
            case _:
                return contract.NO_SUCH_PAGE
        return json_answer({})

    async def _send(self, send: Send, answer: Answer, request: Request, *, cut: bool = False) -> None:
        body = b"" if request.method == "HEAD" else answer.body.encode()
        length = len(body) + (1 if cut else 0)  # a byte that never comes: the server closes the connection
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [
                    (b"content-type", answer.content_type.encode()),
                    (b"content-length", str(length).encode()),
                    *((name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers),
                    *self._closing,
                ],
            }
        )
        if self.faults.dripping and not request.path.startswith("/_control/"):
            body = await self._drip(send, body)
        await send({"type": "http.response.body", "body": body})

    async def _drip(self, send: Send, body: bytes) -> bytes:
        """Send the body byte by byte until this fault ends; what is left of it then."""
        faults = self.faults
        while len(body) > 1 and not faults.healed.is_set():
            await send({"type": "http.response.body", "body": body[:1], "more_body": True})
            body = body[1:]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(faults.healed.wait(), faults.dripping)
        return body


def _scripted(failure: Failure) -> Answer:
    return Answer(failure.status, failure.content_type, failure.body, tuple(failure.headers.items()))
