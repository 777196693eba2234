"""The CUBE that the contract is tried on: the stand-in, or a real one, through the same few methods."""

import http.client
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from tests.support.cube.accounts import USERS
from tests.support.cube.in_process import TOKEN, Answered, CubeInProcess
from tests.support.cube.request import API
from tests.support.cube.rows import FOLDER, OMIT, PATH, REGISTRATION, SERIES

Ask = Callable[[str, str, bytes, Mapping[str, str | None], str], Answered]

DELETION_SECONDS = 60.0


@dataclass
class CubeUnderTest:
    """A CUBE and its storage, with a PACS that no other test uses.

    Attributes:
        generation: 5 or 6.
        root: the storage root.
        pacs: the PACS' name, in the place of `RowPacs` in the contract's rows.
        ask_whole: sends a request: method, path, body, headers, query.
        together: sends such requests at one time.
        token: of the user `chris`.
        stand_in: its switches; None for a real CUBE.
        url: CHRIS_URL.
        password: of the user `chris`.
        transport: makes the connections of a client of httpx.
    """

    generation: int
    root: Path
    pacs: str
    ask_whole: Ask
    together: Callable[[Sequence[tuple[str, str, bytes]]], Sequence[Answered]]
    token: str
    stand_in: CubeInProcess | None
    url: str
    password: str
    transport: Callable[[], httpx.AsyncBaseTransport]
    left_behind: list[str] = field(default_factory=list)

    @property
    def route(self) -> str:
        """Where registrations go."""
        return "pacsfiles/" if self.generation == 5 else "pacs/series/"

    @property
    def path(self) -> str:
        """The path of a registration that differs in nothing."""
        return self.ours(PATH if self.generation == 5 else FOLDER)

    def ours(self, text: str) -> str:
        """A text of the contract's rows, for this test's PACS."""
        return text.replace("RowPacs", self.pacs)

    def ask(
        self,
        method: str,
        route: str,
        body: bytes = b"",
        headers: Mapping[str, str | None] | None = None,
        query: str = "",
    ) -> Answered:
        """Send a request; a header that is None is left out."""
        return self.ask_whole(method, f"{API}{route}", body, headers or {}, query)

    def json(self, method: str, route: str, **options: Any) -> Any:
        """The JSON body of the answer."""
        return json.loads(self.ask(method, route, **options).text)

    def search(self, route: str, **parameters: Any) -> Any:
        """What a search among this test's rows gives."""
        ours = {} if route == "pacs/files" else {"pacs_identifier": self.pacs}
        query = "&".join(f"{name}={quote(str(value))}" for name, value in (ours | parameters).items())
        return self.json("GET", f"{route}/search/", query=query)

    def body(self, **fields: Any) -> bytes:
        """The body of a registration that differs in these fields."""
        values = {**(REGISTRATION if self.generation == 5 else SERIES), **fields}
        text = json.dumps({name: value for name, value in values.items() if value is not OMIT})
        return self.ours(text).encode()

    def register(self, **fields: Any) -> Answered:
        """Register."""
        return self.ask("POST", self.route, self.body(**fields))

    def register_together(self, *changes: Mapping[str, Any]) -> Sequence[Answered]:
        """The answers to registrations that come at one time."""
        return self.together([("POST", f"{API}{self.route}", self.body(**one)) for one in changes])

    def write(self, path: str = PATH, content: bytes = b"DICM") -> Path:
        """Put a file into the storage."""
        file = self.root / self.ours(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def throw(self, switch: str, **options: Any) -> None:
        """Throw a switch of the stand-in."""
        assert self.stand_in is not None
        self.stand_in.control(switch, **options)

    @property
    def deletes(self) -> bool:
        """Whether this CUBE can delete a series: v6.10 or later."""
        return self.stand_in is not None or "DELETE" in self.ask("GET", "pacs/series/0/").headers["allow"]

    def until_deleted(self, **parameters: Any) -> bool:
        """Wait until CUBE's worker has deleted the series; False if it does not."""
        end = time.monotonic() + DELETION_SECONDS
        while self.search("pacs/series", **parameters)["count"]:
            if time.monotonic() > end:
                return False
            time.sleep(0.2)
        return True

    def clean_up(self) -> None:
        """Take away from a real CUBE what can be taken away: the series of v6.10 and later, and their files.

        A file that CUBE knows must stay: it answers 500 to each list with a row whose file is gone.
        """
        folder = self.root / "SERVICES/PACS" / self.pacs
        if self.generation == 5:
            known = {row["fname"] for row in self.search("pacsfiles", limit=1000)["results"]}
        else:
            if self.deletes:
                for series in self.search("pacs/series", limit=1000)["results"]:
                    self.ask("DELETE", f"pacs/series/{series['id']}/")
                self.until_deleted()
            inside = f"SERVICES/PACS/{self.pacs}/"
            known = {row["fname"] for row in self.search("pacs/files", fname=inside, limit=1000)["results"]}
        for file in [file for file in folder.rglob("*") if file.is_file()]:
            if str(file.relative_to(self.root)) not in known:
                file.unlink()
        if known:
            self.left_behind.append(f"{self.pacs}: {len(known)} registered files")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def stand_in(app: CubeInProcess, generation: int, root: Path, pacs: str) -> CubeUnderTest:
    """The stand-in, without a network."""

    def ask(method: str, path: str, body: bytes, headers: Mapping[str, str | None], query: str) -> Answered:
        return app.ask(method, path, body, dict(headers), query)

    return CubeUnderTest(
        generation,
        root,
        pacs,
        ask,
        lambda requests: app.ask_together(*requests),
        TOKEN,
        app,
        f"http://localhost{API}",
        USERS["chris"],
        lambda: httpx.ASGITransport(app.app),
    )


class RealCube:
    """A CUBE over the network.

    Args:
        url: CHRIS_URL.
        username: of the user `chris`.
        password: of that user.
        root: its storage root.
    """

    def __init__(self, url: str, username: str, password: str, root: Path) -> None:
        self.url = url
        self.root = root
        self._password = password
        self._parts = urlsplit(url)
        login = json.dumps({"username": username, "password": password}).encode()
        answered = self.ask("POST", f"{API}auth-token/", login, {"Authorization": None})
        self.token = json.loads(answered.text)["token"]
        links = json.loads(self.ask("GET", API, b"", {}, "").text)["collection_links"]
        self.generation = 6 if "pacsseries" in links else 5

    def for_test(self, pacs: str) -> CubeUnderTest:
        """The CUBE as one test sees it."""
        return CubeUnderTest(
            self.generation,
            self.root,
            pacs,
            self.ask,
            self.ask_together,
            self.token,
            None,
            self.url,
            self._password,
            httpx.AsyncHTTPTransport,
        )

    def ask(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str | None], query: str = ""
    ) -> Answered:
        """Send a request, with nothing but the headers that are asked for and those of HTTP itself."""
        wanted: dict[str, str | None] = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Authorization": f"Token {getattr(self, 'token', '')}",
            **headers,
        }
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._parts.netloc, timeout=60)
        whole = self._parts.path.removesuffix(API) + path + (f"?{query}" if query else "")
        try:
            given = {name: value for name, value in wanted.items() if value is not None}
            connection.request(method, whole, body or None, given)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answered(answer.status, found, answer.read().decode())
        finally:
            connection.close()

    def ask_together(self, requests: Sequence[tuple[str, str, bytes]]) -> Sequence[Answered]:
        """Send requests at one time."""
        with ThreadPoolExecutor(len(requests)) as pool:
            return list(pool.map(lambda one: self.ask(one[0], one[1], one[2], {}), requests))
