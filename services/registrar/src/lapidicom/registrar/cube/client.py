"""CUBE's client: register, search, probe, generation."""

from collections.abc import Mapping
from urllib.parse import urljoin

import httpx

from lapidicom.registrar.cube.contract import MOST_OF_A_SEARCH, PACS_FILES, PACS_FILES_SEARCH, PROBE
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
        self._probe = httpx.URL(urljoin(cube_url, PROBE))
        self._auth = auth

    async def register(self, body: bytes) -> Reply:
        """Register one file. Idempotent: CUBE refuses a path that it knows."""
        return await self._http.send("POST", self._pacs_files, auth=self._auth, body=body)

    async def search(self, parameters: Mapping[str, str]) -> Reply:
        """Search the registered files; the registrar itself never does."""
        url = self._search.copy_merge_params(parameters)
        return await self._http.send("GET", url, auth=self._auth, most=MOST_OF_A_SEARCH)

    async def probe(self) -> Reply:
        """An authenticated read: CUBE's description of itself means that it and its database are well."""
        return await self._http.send("GET", self._probe, auth=self._auth)

    async def generation(self) -> tuple[Generation, Reply]:
        """Ask which generation this CUBE is; with the reply, for telling why it is unknown."""
        reply = await self._http.send("GET", self._root)
        return generation(reply), reply
