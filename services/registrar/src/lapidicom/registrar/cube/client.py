"""CUBE's client: register, search, delete, probe, generation."""

from collections.abc import Mapping
from urllib.parse import urljoin

import httpx

from lapidicom.registrar.cube.contract import (
    FILES_IN_BROWSER,
    FILES_OF_SERIES_SEARCH,
    MOST_OF_A_SEARCH,
    PACS_FILES,
    PACS_FILES_SEARCH,
    PACS_SERIES,
    PACS_SERIES_SEARCH,
    PROBE,
)
from lapidicom.registrar.cube.generation import Generation, generation
from lapidicom.registrar.cube.http import HttpClient
from lapidicom.registrar.cube.replies import Reply


class Cube:
    """CUBE as one worker sees it.

    Args:
        http: the worker's own client.
        cube_url: CUBE's API, ending in a slash.
        auth: of CUBE's user; shared by all workers.
    """

    def __init__(self, http: HttpClient, cube_url: str, auth: httpx.Auth) -> None:
        self._http = http
        self._root = httpx.URL(cube_url)
        self._pacs_files = httpx.URL(urljoin(cube_url, PACS_FILES))
        self._search = httpx.URL(urljoin(cube_url, PACS_FILES_SEARCH))
        self._pacs_series = httpx.URL(urljoin(cube_url, PACS_SERIES))
        self._series_search = httpx.URL(urljoin(cube_url, PACS_SERIES_SEARCH))
        self._files_of_series_search = httpx.URL(urljoin(cube_url, FILES_OF_SERIES_SEARCH))
        self._files_in_browser = httpx.URL(urljoin(cube_url, FILES_IN_BROWSER))
        self._probe = httpx.URL(urljoin(cube_url, PROBE))
        self._auth = auth

    async def register(self, body: bytes) -> Reply:
        """Register one file. Idempotent: CUBE refuses a path that it knows."""
        return await self._http.send("POST", self._pacs_files, auth=self._auth, body=body)

    async def register_series(self, body: bytes) -> Reply:
        """Register one series (v6). Idempotent: CUBE refuses a series that it knows."""
        return await self._http.send("POST", self._pacs_series, auth=self._auth, body=body)

    async def search_series(self, parameters: Mapping[str, str]) -> Reply:
        """Search the registered series (v6)."""
        return await self._search_at(self._series_search, parameters)

    async def search_files_of_series(self, parameters: Mapping[str, str]) -> Reply:
        """Search the files that registered series have brought (v6)."""
        return await self._search_at(self._files_of_series_search, parameters)

    async def delete_series(self, number: int) -> Reply:
        """Let CUBE delete a series and its folder (v6.10), soon; the registrar itself never does."""
        return await self._http.send("DELETE", self._pacs_series.join(f"{number}/"), auth=self._auth)

    async def forget_file(self, number: int) -> Reply:
        """Let CUBE forget a file of a series (v6); the registrar itself never does."""
        return await self._http.send("DELETE", self._files_in_browser.join(f"{number}/"), auth=self._auth)

    async def search(self, parameters: Mapping[str, str]) -> Reply:
        """Search the registered files (v5); the registrar itself never does."""
        return await self._search_at(self._search, parameters)

    async def probe(self) -> Reply:
        """An authenticated read: CUBE's description of itself means that it and its database are well."""
        return await self._http.send("GET", self._probe, auth=self._auth)

    async def generation(self) -> tuple[Generation, Reply]:
        """Ask which generation this CUBE is; with the reply, for telling why it is unknown."""
        reply = await self._http.send("GET", self._root)
        return generation(reply), reply

    async def _search_at(self, url: httpx.URL, parameters: Mapping[str, str]) -> Reply:
        asked = url.copy_merge_params(parameters)
        return await self._http.send("GET", asked, auth=self._auth, most=MOST_OF_A_SEARCH)
