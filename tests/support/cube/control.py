"""Speaks to the stand-in's control endpoints: what was registered, and which faults it shall have."""

import http.client
import json
from typing import Any

JSON_ERROR = '{"error":"Internal server error"}'


class CubeControl:
    """A blocking client of `/_control/`; each call is one request on the loopback interface."""

    def __init__(self, port: int) -> None:
        self.port = port

    def counts(self) -> dict[str, int]:
        """How often each path was registered, over all restarts: a row each, or a 201 each.

        More than once only where the stand-in lets duplicates through (`CubeProcess(unique=False)`).
        """
        counts: dict[str, int] = self._ask("GET", "counts")
        return counts

    def paths(self) -> set[str]:
        """All registered paths."""
        return set(self.counts())

    def registrations(self) -> list[dict[str, Any]]:
        """`path` and fields of every registration, in order."""
        rows: list[dict[str, Any]] = self._ask("GET", "registrations")
        return rows

    def answers(self) -> dict[str, int]:
        """How often "METHOD path status" was answered since the start of the process."""
        answers: dict[str, int] = self._ask("GET", "requests")["answers"]
        return answers

    def attempts(self) -> dict[str, int]:
        """How many well-formed POSTs came for each path since the start of the process."""
        attempts: dict[str, int] = self._ask("GET", "requests")["attempts"]
        return attempts

    def created(self) -> dict[str, int]:
        """How often each path was answered with 201, over all restarts."""
        created: dict[str, int] = self._ask("GET", "requests")["created"]
        return created

    def repeated(self) -> dict[str, int]:
        """How often each path was refused because it was registered, over all restarts."""
        repeated: dict[str, int] = self._ask("GET", "requests")["repeated"]
        return repeated

    def most_under_way(self) -> int:
        """The most requests that were served at one time."""
        most: int = self._ask("GET", "requests")["most_under_way"]
        return most

    def slow(self, seconds: float, workers: int = 0) -> None:
        """Take that long for each request; with `workers`, serve so many at a time."""
        self._ask("POST", "slow", {"seconds": seconds, "workers": workers})

    def fail(
        self,
        status: int = 500,
        body: str = JSON_ERROR,
        *,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
        count: int | None = None,
        method: str | None = "POST",
        stored: bool = False,
        cut: bool = False,
        path_contains: str = "",
    ) -> None:
        """Answer so: the next `count` requests (None: all) of `method` (None: any) with that text in it.

        With `stored` a POST is carried out first; with `cut` the connection ends within the answer.
        """
        self._ask(
            "POST",
            "fail",
            {
                "status": status,
                "body": body,
                "content_type": content_type,
                "headers": headers or {},
                "count": count,
                "method": method,
                "stored": stored,
                "cut": cut,
                "path_contains": path_contains,
            },
        )

    def answer_everything(
        self, body: str = "<html>Log in</html>", *, content_type: str = "text/html"
    ) -> None:
        """200 with this body to every request, the probe's too: a proxy, or a page to log in."""
        self.fail(200, body, content_type=content_type, method=None)

    def firewall(self, text: str, status: int = 403, body: str = "<html>Blocked</html>") -> None:
        """Refuse every POST with this text in its body; all others are served."""
        content_type = "text/html" if body.startswith("<") else "application/json"
        self.fail(status, body, content_type=content_type, path_contains=text)

    def refuse_value(self, field: str, value: str, message: str) -> None:
        """400 as CUBE gives it, for every registration with this value."""
        self._ask("POST", "refuse-value", {"field": field, "value": value, "messages": [message]})

    def drip(self, seconds: float = 2.0) -> None:
        """Send each answer's body byte by byte, with that long between two of them."""
        self._ask("POST", "drip", {"seconds": seconds})

    def race(self, seconds: float) -> None:
        """Let that long pass between CUBE's look into the database and each change of it; `heal` keeps it.

        POSTs that come within that time find each other as CUBE v5's do. Of one path, one is answered 201,
        the others 500; those that create one PACS are answered 400 "already exists", but for one. Repeated,
        they are answered 400 "already registered" and 201.
        """
        self._ask("POST", "race", {"seconds": seconds})

    def unique(self, *, yes: bool) -> None:
        """Refuse a path that is registered, or register it once more; `heal` keeps it."""
        self._ask("POST", "unique", {"unique": yes})

    def hang(self) -> None:
        """Answer nothing until `heal`."""
        self._ask("POST", "hang")

    def refuse(self) -> None:
        """403 for every POST."""
        self._ask("POST", "refuse")

    def database_down(self) -> None:
        """500 for every request with credentials; the API's home stays 200."""
        self._ask("POST", "database-down")

    def volume_gone(self) -> None:
        """Every path is one that cannot be found."""
        self._ask("POST", "volume-gone")

    def volume_vanishes(self, *, stored: bool = False) -> None:
        """Take the volume away in the middle of the next registration, which gets a 500; all others see
        an empty folder there, the probe is well. `heal` puts it back.

        Args:
            stored: whether the row is made all the same.
        """
        self._ask("POST", "volume-vanishes", {"when": "behind the row" if stored else "before the row"})

    def volume_swapped(self, *, other: bool = True) -> None:
        """Put another CUBE's empty volume in the place of the storage root, or, without `other`, nothing but
        the mount point: whoever shares the path sees it. `heal` puts the right one back.
        """
        self._ask("POST", "volume-swapped", {"other": other})

    def stop_worker(self) -> None:
        """Series to be deleted stay pending until `heal` (v6)."""
        self._ask("POST", "worker-stopped")

    def no_broker(self) -> None:
        """A deletion is answered 500, and stays pending until `heal` (v6)."""
        self._ask("POST", "no-broker")

    def break_off(self) -> None:
        """Leave the next series half done: its files are registered, and it is not (v6)."""
        self._ask("POST", "break-off")

    def invalidate_tokens(self) -> None:
        """Tokens given out so far are invalid; auth-token/ gives new ones."""
        self._ask("POST", "invalidate-tokens")

    def heal(self) -> None:
        """End all faults; requests that hang are answered."""
        self._ask("POST", "heal")

    def forget(self) -> None:
        """Forget all registrations and counts."""
        self._ask("POST", "forget")

    def _ask(self, method: str, name: str, options: dict[str, Any] | None = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, f"/_control/{name}", json.dumps(options) if options else None)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"/_control/{name}: {answer.status} {text!r}")
            return json.loads(text)
        finally:
            connection.close()
