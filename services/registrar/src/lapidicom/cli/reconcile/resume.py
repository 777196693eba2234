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

    @property
    def folder(self) -> str:
        """The last folder that is settled; empty to begin at the beginning."""
        return os.fsdecode(unquote_to_bytes(self.after))

    def at(self, folder: str, left: int) -> "State":
        """The same, farther."""
        return self.model_copy(update={"after": quote_from_bytes(os.fsencode(folder)), "left": left})


def read_state(path: Path | None, begin: State) -> State:
    """The state of the run on which this one goes on; `begin` if there is none.

    Raises:
        OperatorError: it is no such file, or one of a run with other options.
    """
    try:
        state = begin if path is None else State.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return begin
    except OSError as error:
        raise _unfit(path, "cannot be read") from error
    except ValidationError:
        raise _unfit(path, "is no state of reconcile") from None
    if state.scope != begin.scope or (state.since is None) != (begin.since is None):
        raise _unfit(path, "is of a run with other options")
    return state


def write_state(path: Path, state: State) -> None:
    """Keep it in a file of mode 0600.

    Raises:
        OperatorError: it cannot be written.
    """
    temporary = path.with_name(f"{path.name}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(state.model_dump_json())
        temporary.replace(path)
    except OSError as error:
        raise _unfit(path, f"cannot be written ({error.strerror})") from error


def _unfit(path: Path | None, fault: str) -> OperatorError:
    return OperatorError(f"--state {path} {fault}", "remove it, or name another file")
