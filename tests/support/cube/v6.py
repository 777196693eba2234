"""The routes of generation v6 and what stands behind them (sections 1, 2 and 4 of CUBE's contract)."""

import asyncio
import os
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from tests.support.cube import contract, fields
from tests.support.cube.accounts import Accounts
from tests.support.cube.contract import Answer
from tests.support.cube.faults import Faults
from tests.support.cube.generation import Generation
from tests.support.cube.request import API, FORMS, Request, json_answer, json_value
from tests.support.cube.routes import Route, Routes
from tests.support.cube.search import FILES_OF_SERIES, PACS, SERIES
from tests.support.cube.series import File, Pacs, Series, SeriesDatabase
from tests.support.cube.storage import UniqueViolation, Volume

COUNTS = 30
"""How often CUBE counts a folder's files before it gives up."""


class GenerationV6(Generation):
    """CUBE v6 and later: a registration is one series.

    Args:
        database: what is registered.
        volume: the storage root.
        accounts: gives out tokens.
        faults: asks what is wrong just now.

    Attributes:
        second: how long CUBE's second lasts, between two counts of a folder's files.
    """

    def __init__(
        self, database: SeriesDatabase, volume: Volume, accounts: Accounts, faults: Callable[[], Faults]
    ) -> None:
        super().__init__(volume, accounts, faults, contract.LINKS_V6)
        self.second = 1.0
        self._database = database

    def routes(self) -> Routes:
        """The table of this generation."""
        pacs_users = partial(Route, pacs_users_only=True)
        return {
            **super().routes(),
            f"{API}pacs/": pacs_users({"GET": self._pacs}),
            f"{API}pacs/search/": pacs_users({"GET": self._search_pacs}),
            f"{API}pacs/<id>/": pacs_users({"GET": self._one_pacs}),
            f"{API}pacs/<id>/series/": pacs_users({"GET": self._series_of_pacs}),
            f"{API}pacs/series/": pacs_users({"GET": self._all_series, "POST": self._register}),
            f"{API}pacs/series/search/": pacs_users({"GET": self._search_series}),
            f"{API}pacs/series/<id>/": pacs_users({"GET": self._one_series, "DELETE": self._delete_series}),
            f"{API}pacs/files/": pacs_users({"GET": self._all_files}),
            f"{API}pacs/files/search/": pacs_users({"GET": self._search_files}),
            f"{API}pacs/files/<id>/": pacs_users({"GET": self._one_file}),
            f"{API}filebrowser/search/": Route({"GET": self._search_folders}),
            f"{API}filebrowser/<id>/files/": Route({"GET": self._files_of_folder}),
            f"{API}filebrowser/files/<id>/": Route({"GET": self._one_file, "DELETE": self._delete_file}),
        }

    def carry_out_deletions(self) -> None:
        """CUBE's worker: delete what is pending, with all that lies in its folder."""
        if self._faults().worker_stopped:
            return
        for series in self._database.series:
            if series.deletion_status == "pending":
                self._volume.remove(series.folder)
                self._database.delete_series(series)

    # Reading

    def _pacs(self, _request: Request, _key: str) -> Answer:
        return contract.SERVER_ERROR  # the list asks pfdcm, which is not there

    def _search_pacs(self, request: Request, _key: str) -> Answer:
        return self._search_rows(PACS, list(self._database.pacs.values()), request, _described_pacs)

    def _one_pacs(self, request: Request, key: str) -> Answer:
        found = next((one for one in self._database.pacs.values() if one.id == int(key)), None)
        return json_answer(_described_pacs(found, request)) if found else contract.no_such("PACS")

    def _series_of_pacs(self, request: Request, key: str) -> Answer:
        pacs = next((one for one in self._database.pacs.values() if one.id == int(key)), None)
        if pacs is None:
            return contract.no_such("PACS")
        rows = [one for one in self._database.series if one.tags["pacs_name"] == pacs.identifier]
        return self._page(request, rows, lambda row: self._described(row, request))

    def _all_series(self, request: Request, _key: str) -> Answer:
        return self._page(request, self._database.series, lambda row: self._described(row, request))

    def _search_series(self, request: Request, _key: str) -> Answer:
        return self._search_rows(SERIES, self._database.series, request, self._described)

    def _one_series(self, request: Request, key: str) -> Answer:
        series = self._series(key)
        return json_answer(self._described(series, request)) if series else contract.no_such("PACSSeries")

    def _all_files(self, request: Request, _key: str) -> Answer:
        return self._page(request, self._database.files, lambda row: self._described_file(row, request))

    def _search_files(self, request: Request, _key: str) -> Answer:
        return self._search_rows(FILES_OF_SERIES, self._database.files, request, self._described_file)

    def _one_file(self, request: Request, key: str) -> Answer:
        file = self._file(key)
        if file is None:
            return contract.no_such("PACSFile")
        try:
            return json_answer(self._described_file(file, request))
        except OSError:
            return contract.SERVER_ERROR

    def _search_folders(self, request: Request, _key: str) -> Answer:
        path = request.query.get("path", "").strip("/")
        found = [path] if path in self._database.folders else []
        return self._page(request, found, lambda path: self._described_folder(path, request))

    def _files_of_folder(self, request: Request, key: str) -> Answer:
        folder = next((path for path, id_ in self._database.folders.items() if id_ == int(key)), None)
        if folder is None:
            return contract.no_such("ChrisFolder")
        rows = [file for file in self._database.files if file.folder == folder]
        return self._page(request, rows, lambda row: self._described_file(row, request))

    def _series(self, key: str) -> Series | None:
        return next((one for one in self._database.series if one.id == int(key)), None)

    def _file(self, key: str) -> File | None:
        return next((one for one in self._database.files if one.id == int(key)), None)

    def _described(self, series: Series, request: Request) -> dict[str, Any]:
        tags = dict(series.tags)
        return {
            "url": f"{request.base}pacs/series/{series.id}/",
            "id": series.id,
            "creation_date": series.creation_date,
            "folder_path": series.folder,
            "pacs_identifier": tags.pop("pacs_name"),
            **tags,
            "deletion_status": series.deletion_status,
            "deletion_requested_at": series.deletion_requested_at,
            "deletion_error": series.deletion_error,
            "folder": f"{request.base}filebrowser/{self._database.folders[series.folder]}/",
        }

    def _described_file(self, file: File, request: Request) -> dict[str, Any]:
        url = f"{request.base}pacs/files/{file.id}/"
        return {
            "url": url,
            "id": file.id,
            "creation_date": file.creation_date,
            "fname": file.fname,
            "fsize": self._volume.size(file.fname),
            "public": False,
            "owner_username": "chris",
            "file_resource": url + file.fname.rsplit("/", 1)[-1],
            "parent_folder": f"{request.base}filebrowser/{self._database.folders[file.folder]}/",
        }

    def _described_folder(self, path: str, request: Request) -> dict[str, Any]:
        url = f"{request.base}filebrowser/{self._database.folders[path]}/"
        return {"url": url, "id": self._database.folders[path], "path": path, "files": f"{url}files/"}

    # Deleting

    def _delete_series(self, request: Request, key: str) -> Answer:
        series = self._series(key)
        if series is None:
            return contract.no_such("PACSSeries")
        if series.deletion_status != "pending":
            series = self._database.mark_pending(series)
            if self._faults().no_broker:
                return contract.SERVER_ERROR  # and it stays pending
        return json_answer(self._described(series, request), 202)

    def _delete_file(self, _request: Request, key: str) -> Answer:
        file = self._file(key)
        if file is None:
            return contract.no_such("ChrisFile")
        self._database.delete_file(file)  # the bytes stay
        return Answer(204, contract.JSON, "")

    # Registering

    async def _register(self, request: Request, _key: str) -> Answer:
        if request.media_type in FORMS:
            body: Any = dict(parse_qsl(request.body.decode()))
        else:
            body = json_value(request) if request.body else {}
        if not isinstance(body, dict):
            text = contract.NO_DATA if body is None else contract.NOT_A_DICTIONARY.format(type(body).__name__)
            return json_answer({"non_field_errors": [text]}, 400)
        values, errors = self._clean(contract.SERIES_FIELDS, body)
        _check(values, errors)
        if errors:
            return json_answer(errors, 400)
        path, ndicom = values.pop("path").strip().strip("/"), values.pop("ndicom")
        if not path.startswith(f"SERVICES/PACS/{values['pacs_name']}/"):
            text = contract.SERIES_PATH_OF_PACS.format(values["pacs_name"])
            return json_answer({"non_field_errors": [text]}, 400)
        found = await self._count(path, ndicom)
        if isinstance(found, Answer):
            return found
        try:
            return await self._insert(path, values, found, request)
        except UniqueViolation:
            return contract.SERVER_ERROR

    async def _count(self, path: str, ndicom: int) -> list[str] | Answer:
        """The files of the folder, once so many of them are DICOM files; else the refusal."""
        for count in range(COUNTS):
            if count:
                await asyncio.sleep(self.second)
            found = [] if self._faults().volume_gone else self._volume.files_below(path)
            dicom = len([name for name in found if name.endswith(".dcm")])
            if dicom == ndicom:
                return found
            if dicom > ndicom:
                break
        return json_answer({"non_field_errors": [contract.OTHER_COUNT.format(path, dicom, ndicom)]}, 400)

    async def _insert(self, path: str, tags: dict[str, Any], found: list[str], request: Request) -> Answer:
        """Make the rows of a series whose files are all there; each is a statement of its own."""
        database, name = self._database, tags["pacs_name"]
        if name not in database.pacs:
            await self._make_folders(f"SERVICES/PACS/{name}")
            database.add_pacs(name)
        if database.unique and database.find((name, tags["SeriesInstanceUID"])):
            database.answer_repeated(path)
            return json_answer([contract.DUPLICATE_SERIES.format(tags["SeriesInstanceUID"], name)], 400)
        await self._make_folders(path)
        renamed = self._volume.remove_commas(path)
        names = [new for old in found if (new := renamed.get(old, old))]
        for folder in {os.path.dirname(new) for new in names}:  # noqa: PTH120
            await self._make_folders(folder)
        if any(len(new) > contract.LONGEST_SERIES_FILE for new in names):
            return contract.SERVER_ERROR
        database.add_files(names)
        if self._faults().breaking_off:
            self._faults().breaking_off = False
            return contract.SERVER_ERROR
        series = database.add_series(path, tags)
        database.answer_created(path)
        described = self._described(series, request)
        return json_answer(described, 201, (("Location", described["url"]),))

    async def _make_folders(self, path: str) -> None:
        missing = self._database.missing_folders(path)
        if not missing:
            return
        await self._others_turn()
        if missing == [path] and path in self._database.folders:
            return  # somebody else has made it, and CUBE looks once more
        self._database.add_folders(missing)


def _described_pacs(pacs: Pacs, request: Request) -> dict[str, Any]:
    url = f"{request.base}pacs/{pacs.id}/"
    return {
        "url": url,
        "id": pacs.id,
        "identifier": pacs.identifier,
        "active": True,
        "folder_path": f"SERVICES/PACS/{pacs.identifier}",
        "series_list": f"{url}series/",
    }


def _check(values: dict[str, Any], errors: fields.Errors) -> None:
    """What CUBE checks of single fields beyond their form."""
    path, ndicom, name = values.get("path"), values.get("ndicom"), values.get("pacs_name")
    if path is not None and "," in path:
        errors["path"] = [contract.NO_COMMAS.format(path)]
    elif path is not None and not path.strip().strip("/").startswith("SERVICES/PACS/"):
        errors["path"] = [contract.SERIES_PATH_PREFIX]
    if ndicom is not None and ndicom < 1:
        errors["ndicom"] = [contract.NOT_POSITIVE.format(ndicom)]
    if name is not None and ("," in name or "/" in name):
        errors["pacs_name"] = [contract.NO_PACS_NAME.format(name)]
