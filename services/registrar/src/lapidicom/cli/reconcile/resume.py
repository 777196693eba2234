"""Where a run of reconcile is, kept in a file of the operator's choice, so that another run goes on there."""

import os
from datetime import datetime
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

from pydantic import BaseModel, ValidationError

from lapidicom.cli.errors import OperatorError


class State(BaseModel):
    """How far everything is settled.

    Attributes:
        scope: what the run is about.
        since: only what was received since then; the next run, whenever it begins, looks back as far.
        after: the last folder that is settled (patient data), with % in place of bytes that are no text.
        left: how much is missing up to there all the same.
    """

    scope: dict[str, str]
    since: datetime | None = None
    after: str = ""
    left: int = 0


class StateFile:
    """A small JSON file, mode 0600. `state` is what it holds: at first that of the run before, if any.

    Args:
        path: None: nothing is kept.
        begin: the state of a run that begins.

    Raises:
        OperatorError: it is no such file, or one of a run with other options.
    """

    def __init__(self, path: Path | None, begin: State) -> None:
        self._path, self.state = path, begin
        try:
            if path is not None:
                self.state = State.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unfit("cannot be read") from error
        except ValidationError:
            raise self._unfit("is no state of reconcile") from None
        if self.state.scope != begin.scope or (self.state.since is None) != (begin.since is None):
            raise self._unfit("is of a run with other options")

    @property
    def after(self) -> str:
        """The last folder that is settled; empty to begin at the beginning."""
        return os.fsdecode(unquote_to_bytes(self.state.after))

    def write(self, after: str, left: int) -> None:
        """Keep how far everything is settled, and how much is missing up to there all the same.

        Raises:
            OperatorError: it cannot be written.
        """
        if self._path is None or after == self.after:
            return
        there = {"after": quote_from_bytes(os.fsencode(after)), "left": left}
        self.state = self.state.model_copy(update=there)
        temporary = self._path.with_name(f"{self._path.name}.new")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(self.state.model_dump_json())
            temporary.replace(self._path)
        except OSError as error:
            raise self._unfit(f"cannot be written ({error.strerror})") from error

    def remove(self) -> None:
        """The run has come to its end."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _unfit(self, fault: str) -> OperatorError:
        return OperatorError(f"--state {self._path} {fault}", "remove it, or name another file")
