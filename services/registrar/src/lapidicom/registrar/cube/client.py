"""CUBE's client: a token instead of the password, renewed on 401; register, probe, generation.

HTTP basic costs CUBE 384 ms of CPU per request, a token 14 ms.
"""

import asyncio
import json
from collections.abc import Mapping
from urllib.parse import urljoin

import httpx

from lapidicom.registrar.cube.availability import trouble_with_token
from lapidicom.registrar.cube.contract import (
    AUTH_TOKEN,
    MOST_OF_A_SEARCH,
    MOST_OF_AN_ANSWER,
    PACS_FILES,
    PACS_FILES_SEARCH,
    PROBE,
)
from lapidicom.registrar.cube.generation import Generation, generation
from lapidicom.registrar.cube.http import HttpClient
from lapidicom.registrar.cube.replies import Answer, Fault, NoAnswer, Reply


class Token:
    """The token of CUBE's user, fetched once for all workers.

    Args:
        http: client of its own.
        cube_url: CUBE's API, ending in a slash.
        username: of CUBE's user.
        password: of CUBE's user.
    """

    def __init__(self, http: HttpClient, cube_url: str, username: str, password: str) -> None:
        self._http = http
        self._url = httpx.URL(urljoin(cube_url, AUTH_TOKEN))
        self._credentials = json.dumps({"username": username, "password": password}).encode()
        self._value: str | None = None
        self._fetch: asyncio.Task[str | NoAnswer] | None = None

    async def get(self, refused: str | None = None) -> str | NoAnswer:
        """The token; one fetch serves all that ask while it is under way.

        Args:
            refused: a token that CUBE has just refused: get another one.
        """
        if self._value is not None and self._value != refused:
            return self._value
        if self._fetch is None:
            self._fetch = asyncio.create_task(self._fetch_token())
        # Shielded: whoever asked first may be cancelled, the others still wait.
        return await asyncio.shield(self._fetch)

    async def _fetch_token(self) -> str | NoAnswer:
        try:
            reply = await self._http.send("POST", self._url, body=self._credentials)
        finally:
            self._fetch = None
        if isinstance(reply, NoAnswer):
            return NoAnswer(Fault.NO_TOKEN, reply.detail)
        token = _token(reply)
        if token is None:
            return NoAnswer(Fault.NO_TOKEN, trouble_with_token(reply))
        self._value = token
        return token


class Cube:
    """CUBE as one worker sees it.

    Args:
        http: the worker's own client.
        cube_url: CUBE's API, ending in a slash.
        token: shared by all workers.
    """

    def __init__(self, http: HttpClient, cube_url: str, token: Token) -> None:
        self._http = http
        self._root = httpx.URL(cube_url)
        self._pacs_files = httpx.URL(urljoin(cube_url, PACS_FILES))
        self._search = httpx.URL(urljoin(cube_url, PACS_FILES_SEARCH))
        self._probe = httpx.URL(urljoin(cube_url, PROBE))
        self._token = token

    async def register(self, body: bytes) -> Reply:
        """Register one file. Idempotent: CUBE refuses a path that it knows."""
        return await self._with_token("POST", self._pacs_files, body)

    async def search(self, parameters: Mapping[str, str]) -> Reply:
        """Search the registered files; the registrar itself never does."""
        url = self._search.copy_merge_params(parameters)
        return await self._with_token("GET", url, most=MOST_OF_A_SEARCH)

    async def probe(self) -> Reply:
        """An authenticated read: CUBE's description of itself means that it and its database are well."""
        return await self._with_token("GET", self._probe)

    async def generation(self) -> tuple[Generation, Reply]:
        """Ask which generation this CUBE is; with the reply, for telling why it is unknown."""
        reply = await self._http.send("GET", self._root)
        return generation(reply), reply

    async def _with_token(
        self, method: str, url: httpx.URL, body: bytes | None = None, most: int = MOST_OF_AN_ANSWER
    ) -> Reply:
        token = await self._token.get()
        if isinstance(token, NoAnswer):
            return token
        reply = await self._http.send(method, url, token=token, body=body, most=most)
        if not (isinstance(reply, Answer) and reply.status == 401):
            return reply
        token = await self._token.get(refused=token)
        if isinstance(token, NoAnswer):
            return token
        return await self._http.send(method, url, token=token, body=body, most=most)


def _token(answer: Answer) -> str | None:
    token = answer.fields.get("token") if answer.status == 200 else None
    return token if isinstance(token, str) and token.isascii() and token.isalnum() else None
