"""Where a run of reconcile is, kept in a file of the operator's choice, so that another run goes on there."""

import json
import os
from pathlib import Path

from lapidicom.cli.errors import ExitStatus, OperatorError


class StateFile:
    """A small JSON file, mode 0600: the folder that it names is patient data.

    Args:
        path: None: nothing is kept.
        scope: what the run is about; a file of another scope is refused.
    """

    def __init__(self, path: Path | None, scope: dict[str, str]) -> None:
        self._path = path
        self._scope = scope
        self._written = ""

    def read(self) -> tuple[str, int]:
        """The last folder that is settled, empty to begin at the beginning; and what was left up to there.

        Raises:
            OperatorError: it is no such file, or one of another run.
        """
        if self._path is None:
            return "", 0
        try:
            state = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return "", 0
        except (OSError, ValueError) as error:
            raise self._unfit("cannot be read") from error
        if not (
            isinstance(state, dict)
            and isinstance(state.get("after"), str)
            and isinstance(state.get("left", 0), int)
        ):
            raise self._unfit("is no state of reconcile")
        if state.get("scope") != self._scope:
            raise self._unfit("is of a run with other options")
        self._written = state["after"]
        return self._written, state.get("left", 0)

    def write(self, after: str, left: int) -> None:
        """Keep how far everything is settled, and how much is missing up to there all the same.

        Raises:
            OperatorError: it cannot be written.
        """
        if self._path is None or after == self._written:
            return
        temporary = self._path.with_name(f"{self._path.name}.new")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({"scope": self._scope, "after": after, "left": left}, file)
            temporary.replace(self._path)
        except OSError as error:
            raise self._unfit(f"cannot be written ({error.strerror})") from error
        self._written = after

    def remove(self) -> None:
        """The run has come to its end."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _unfit(self, fault: str) -> OperatorError:
        return OperatorError(
            f"--state {self._path} {fault}", "remove it, or name another file", ExitStatus.UNUSABLE
        )
