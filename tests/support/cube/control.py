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
        """How often each path was answered with 201, over all restarts."""
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
