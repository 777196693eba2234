"""What both generations share: home, users, tokens, CUBE's description of itself, and pages of rows."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from tests.support.cube import contract, fields
from tests.support.cube.accounts import USERS, Accounts
from tests.support.cube.contract import Answer
from tests.support.cube.faults import Faults
from tests.support.cube.request import API, FORMS, Request, json_answer, json_object
from tests.support.cube.routes import Route, Routes
from tests.support.cube.search import BadParameter, Filter, page, search
from tests.support.cube.storage import Volume

R = TypeVar("R")


class Generation:
    """Answers requests that have passed the common rules.

    Args:
        volume: the storage root.
        accounts: gives out tokens.
        faults: asks what is wrong just now.
        links: of the home, beside those that every generation has: route by name.

    Attributes:
        attempts: how many well-formed POSTs came for each path.
        gap: seconds that pass between the look into the database and each change of it. CUBE's requests are
            no transactions: what another client has done meanwhile meets the database's constraints.
    """

    def __init__(
        self, volume: Volume, accounts: Accounts, faults: Callable[[], Faults], links: dict[str, str]
    ) -> None:
        self.attempts: Counter[str] = Counter()
        self.gap = 0.0
        self._volume = volume
        self._accounts = accounts
        self._faults = faults
        self._links = contract.LINKS | links

    def routes(self) -> Routes:
        """The table of this generation."""
        return {
            API: Route({"GET": self._home}, open_to_all=True),
            f"{API}users/": Route({"GET": self._users}, open_to_all=True),
            f"{API}auth-token/": Route({"POST": self._token}, open_to_all=True),
            f"{API}chrisinstance/<id>/": Route({"GET": self._chris_instance}),
        }

    def _token(self, request: Request, _key: str) -> Answer:
        if self._faults().database_down:
            return contract.SERVER_ERROR
        if request.media_type in FORMS:
            body: dict[str, Any] = dict(parse_qsl(request.body.decode()))
        else:
            body = json_object(request)
        errors = {name: [contract.REQUIRED] for name in ("username", "password") if name not in body}
        if errors:
            return json_answer(errors, 400)
        if USERS.get(body["username"]) != body["password"]:
            return contract.CANNOT_LOG_IN
        return json_answer({"token": self._accounts.token(body["username"])})

    def _home(self, request: Request, _key: str) -> Answer:
        links = {name: f"{request.base}{route}" for name, route in self._links.items()}
        return json_answer(
            {"count": 0, "next": None, "previous": None, "results": [], "collection_links": links}
        )

    def _users(self, _request: Request, _key: str) -> Answer:
        return json_answer({"count": 0, "next": None, "previous": None, "results": []})

    def _chris_instance(self, request: Request, _key: str) -> Answer:
        return json_answer(
            {
                "url": f"{request.base}chrisinstance/1/",
                "id": 1,
                "creation_date": "2024-01-01T00:00:00Z",
                "uuid": "4bbb3f0c-9d5b-4d3c-8f21-7e4d8a9c0f10",
                "name": "Stand-in",
                "job_id_prefix": "chris-jid-",
                "description": "",
            }
        )

    def _search_rows(
        self,
        filters: Mapping[str, Filter],
        rows: Sequence[R],
        request: Request,
        describe: Callable[[R, Request], dict[str, Any]],
    ) -> Answer:
        """A page of the rows that pass the filters of the query."""
        try:
            found = search(filters, rows, request.query)
        except BadParameter as bad:
            return json_answer({bad.args[0]: [bad.args[1]]}, 400)
        return self._page(request, found, lambda row: describe(row, request))

    def _clean(
        self, known: Iterable[contract.Field], body: dict[str, Any]
    ) -> tuple[dict[str, Any], fields.Errors]:
        """The values of a registration, and what is wrong with it; its path is counted as an attempt."""
        values, errors = fields.clean_all(known, body)
        for name, (value, messages) in self._faults().refused.items():
            if body.get(name) == value:
                errors.setdefault(name, messages)
        if isinstance(body.get("path"), str):
            self.attempts[body["path"]] += 1
        return values, errors

    def _page(self, request: Request, rows: Sequence[R], describe: Callable[[R], dict[str, Any]]) -> Answer:
        """A page of rows, the newest first; one row that cannot be described makes it a 500."""
        limit, offset = page(request.query)
        try:
            results = [describe(row) for row in rows[::-1][offset : offset + limit]]
        except OSError:
            return contract.SERVER_ERROR

        def link(start: int) -> str:
            query = urlencode({**request.query, "limit": limit, "offset": start})
            return f"http://{request.header('host')}{request.path}?{query}"

        return json_answer(
            {
                "count": len(rows),
                "next": link(offset + limit) if offset + limit < len(rows) else None,
                "previous": link(max(0, offset - limit)) if offset else None,
                "results": results,
            }
        )

    async def _others_turn(self) -> None:
        if self.gap:
            await asyncio.sleep(self.gap)
