"""The routes of generation v5 and what stands behind them (sections 1 to 3 of CUBE's contract)."""

from collections.abc import Callable
from typing import Any

from tests.support.cube import contract
from tests.support.cube.accounts import Accounts
from tests.support.cube.contract import Answer
from tests.support.cube.faults import Faults
from tests.support.cube.generation import Generation
from tests.support.cube.request import API, Request, json_answer, json_object
from tests.support.cube.routes import Route, Routes
from tests.support.cube.search import FILES
from tests.support.cube.storage import Registration, Registrations, UniqueViolation, Volume


class GenerationV5(Generation):
    """CUBE up to v5: a registration is one file.

    Args:
        registrations: what is registered.
        volume: the storage root.
        accounts: gives out tokens.
        faults: asks what is wrong just now.
    """

    def __init__(
        self, registrations: Registrations, volume: Volume, accounts: Accounts, faults: Callable[[], Faults]
    ) -> None:
        super().__init__(volume, accounts, faults, contract.LINKS_V5)
        self._registrations = registrations

    def routes(self) -> Routes:
        """The table of this generation."""
        return {
            **super().routes(),
            f"{API}pacsfiles/": Route({"GET": self._pacs_files, "POST": self._register}),
            f"{API}pacsfiles/search/": Route({"GET": self._search}),
            f"{API}pacsfiles/<id>/": Route({"GET": self._pacs_file}),
        }

    # Reading

    def _pacs_file(self, request: Request, key: str) -> Answer:
        rows = self._registrations.rows
        if not 1 <= int(key) <= len(rows):
            return contract.NO_SUCH_FILE
        try:
            return json_answer(self._described(rows[int(key) - 1], request))
        except OSError:
            return contract.SERVER_ERROR

    def _pacs_files(self, request: Request, _key: str) -> Answer:
        return self._page(request, self._registrations.rows, lambda row: self._described(row, request))

    def _search(self, request: Request, _key: str) -> Answer:
        return self._search_rows(FILES, self._registrations.rows, request, self._described)

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
        values, errors = self._clean(contract.FIELDS, body)
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
