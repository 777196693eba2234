"""The routes of generation v5 and what stands behind them (sections 1 to 3 of CUBE's contract)."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tests.support.cube import contract, fields
from tests.support.cube.accounts import USERS, Accounts
from tests.support.cube.contract import Answer
from tests.support.cube.faults import Faults
from tests.support.cube.request import API, Request, json_answer, json_object
from tests.support.cube.routes import Route, Routes
from tests.support.cube.search import BadParameter, page, search
from tests.support.cube.storage import Registration, Registrations, UniqueViolation, Volume

LINKS = (
    "files", "chrisinstance", "computeresources", "plugin_metas", "plugins", "plugin_instances",
    "pipelines", "pipeline_instances", "workflows", "tags", "uploadedfiles", "pacsfiles", "servicefiles",
    "filebrowser", "user",
)  # fmt: skip


class GenerationV5:
    """Answers requests that have passed the common rules.

    Args:
        registrations: what is registered.
        volume: the storage root.
        accounts: gives out tokens.
        faults: asks what is wrong just now.

    Attributes:
        attempts: how many well-formed POSTs came for each path.
        gap: seconds that pass between the look into the database and each change of it. CUBE's requests are
            no transactions: what another client has done meanwhile meets the database's constraints.
    """

    def __init__(
        self, registrations: Registrations, volume: Volume, accounts: Accounts, faults: Callable[[], Faults]
    ) -> None:
        self.attempts: Counter[str] = Counter()
        self.gap = 0.0
        self._registrations = registrations
        self._volume = volume
        self._accounts = accounts
        self._faults = faults

    def routes(self) -> Routes:
        """The table of this generation."""
        return {
            API: Route({"GET": self._home}, open_to_all=True),
            f"{API}users/": Route({"GET": self._users}, open_to_all=True),
            f"{API}auth-token/": Route({"POST": self._token}, open_to_all=True),
            f"{API}chrisinstance/<id>/": Route({"GET": self._chris_instance}),
            f"{API}pacsfiles/": Route({"GET": self._pacs_files, "POST": self._register}),
            f"{API}pacsfiles/search/": Route({"GET": self._search}),
            f"{API}pacsfiles/<id>/": Route({"GET": self._pacs_file}),
        }

    def _token(self, request: Request, _key: str) -> Answer:
        if self._faults().database_down:
            return contract.SERVER_ERROR
        if request.header("content-type").startswith("application/x-www-form-urlencoded"):
            body: dict[str, Any] = dict(parse_qsl(request.body.decode()))
        else:
            body = json_object(request)
        errors = {name: [contract.REQUIRED] for name in ("username", "password") if name not in body}
        if errors:
            return json_answer(errors, 400)
        if USERS.get(body["username"]) != body["password"]:
            return contract.CANNOT_LOG_IN
        return json_answer({"token": self._accounts.token(body["username"])})

    # Reading

    def _home(self, request: Request, _key: str) -> Answer:
        links = {name: f"{request.base}{name}/" for name in LINKS}
        links["chrisinstance"] += "1/"
        return json_answer(
            {"count": 0, "next": None, "previous": None, "results": [], "collection_links": links}
        )

    def _users(self, _request: Request, _key: str) -> Answer:
        return json_answer({"count": 0, "next": None, "previous": None, "results": []})

    def _chris_instance(self, request: Request, key: str) -> Answer:
        if key != "1":
            return contract.detail(404, "Not found.")
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

    def _pacs_file(self, request: Request, key: str) -> Answer:
        rows = self._registrations.rows
        if not 1 <= int(key) <= len(rows):
            return contract.detail(404, "Not found.")
        try:
            return json_answer(self._described(rows[int(key) - 1], request))
        except OSError:
            return contract.SERVER_ERROR

    def _pacs_files(self, request: Request, _key: str) -> Answer:
        return self._page(request, self._registrations.rows)

    def _search(self, request: Request, _key: str) -> Answer:
        try:
            found = search(self._registrations.rows, request.query)
        except BadParameter as bad:
            return json_answer({bad.args[0]: [bad.args[1]]}, 400)
        return self._page(request, found)

    def _page(self, request: Request, rows: list[Registration]) -> Answer:
        limit, offset = page(request.query)
        shown = rows[::-1][offset : offset + limit]
        try:
            results = [self._described(row, request) for row in shown]
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

    def _described(self, row: Registration, request: Request) -> dict[str, Any]:
        tags = dict(row.tags)
        pacs_name = tags.pop("pacs_name")
        url = f"{request.base}pacsfiles/{row.id}/"
        return {
            "url": url,
            "id": row.id,
            "creation_date": row.creation_date,
            "fname": row.fname,
            "fsize": self._volume.size(row.fname),
            **tags,
            "pacs_identifier": pacs_name,
            "file_resource": url + row.fname.rsplit("/", 1)[-1],
        }

    # Registering

    async def _register(self, request: Request, _key: str) -> Answer:
        body = json_object(request)
        values, errors = fields.clean_all(body)
        for name, (value, messages) in self._faults().refused.items():
            if body.get(name) == value:
                errors.setdefault(name, messages)
        if isinstance(body.get("path"), str):
            self.attempts[body["path"]] += 1
        path = ""
        if "path" not in errors:
            path = values.pop("path").strip(" ").strip("/")
            outside = self._volume.leaves_root(path)
            if not path.startswith("SERVICES/PACS/"):
                errors["path"] = [contract.PATH_PREFIX]
            elif self._faults().volume_gone or not (outside or self._volume.is_file(path)):
                errors["path"] = [contract.NOT_FOUND]
        if errors:
            return json_answer(errors, 400)
        if not path.startswith(f"SERVICES/PACS/{values['pacs_name']}/"):
            return json_answer({"non_field_errors": [contract.PATH_OF_PACS.format(values["pacs_name"])]}, 400)
        if self._registrations.refuses(path):
            self._registrations.answer_repeated(path)
            return contract.ALREADY_REGISTERED
        if len(path) > contract.LONGEST_PATH:
            return contract.SERVER_ERROR
        return await self._insert(path, values, request)

    async def _insert(self, path: str, values: dict[str, Any], request: Request) -> Answer:
        """Make the rows of a registration that the look into the database allowed."""
        registrations = self._registrations
        if values["pacs_name"] not in registrations.pacs:
            await self._others_turn()
            try:
                registrations.add_pacs(values["pacs_name"])
            except UniqueViolation:
                return contract.PACS_ALREADY_EXISTS
        await self._others_turn()
        if self._faults().vanishing:
            stored = self._faults().vanishing == "behind the row"
            self._faults().vanishing = None
            self._volume.swap(other=False)
            if not stored:
                return contract.SERVER_ERROR
        try:
            row = registrations.add(path, values)
            described = self._described(row, request)
        except (UniqueViolation, OSError):
            return contract.SERVER_ERROR  # a row that was stored stays, although its file cannot be read
        registrations.answer_created(path)
        return json_answer(described, 201, (("Location", described["url"]),))

    async def _others_turn(self) -> None:
        if self.gap:
            await asyncio.sleep(self.gap)
