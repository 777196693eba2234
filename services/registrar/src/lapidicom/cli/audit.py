"""Who did what, when and why: a line of LAPIDICOM_AUDIT_LOG before each act, and one after it.

Acts change something; looks at patient data (--show-phi, an export) are written down like acts. An act
whose line cannot be written within 5 s is not begun. No line holds patient data, and none is longer than
4,096 bytes: so many a pipe takes in one piece.
"""

import asyncio
import json
import os
import select
import socket
import stat
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

from lapidicom.cli.errors import OperatorError, one_line
from lapidicom.cli.in_thread import in_thread

SECONDS: Final = 5.0
MOST_BYTES: Final = 4096
MOST_CHARACTERS: Final = 300
"""Of one text; what is longer is cut."""

STDERR: Final = "stderr"
SYSLOG: Final = "syslog"
_SYSLOG_SOCKET: Final = "/dev/log"
_AUTHPRIV_NOTICE: Final = 10 * 8 + 5


@asynccontextmanager
async def audited(
    log: str, who: str, act: str, reason: str = "", what: str = "", count: int | None = None
) -> AsyncIterator[dict[str, Any]]:
    """Do something within the audit.

    Args:
        log: LAPIDICOM_AUDIT_LOG.
        who: LAPIDICOM_OPERATOR.
        act: such as `dlq replay`.
        reason: why, in the operator's words.
        what: options that say what is meant; no patient data.
        count: how many messages or files, if known.

    Yields:
        A dictionary for what was done: counts and names without patient data.

    Raises:
        OperatorError: nobody says who the operator is, or the line cannot be written: nothing is begun.
    """
    fields = {"id": uuid.uuid4().hex[:12], "operator": operator(who), "act": act, "reason": _cut(reason)}
    intent: dict[str, Any] = {"what": _cut(what)} | ({} if count is None else {"count": count})
    done: dict[str, Any] = {}
    try:
        await _write(log, {**fields, "phase": "begun", **intent})
    except OSError as error:
        what = f"not begun: the audit log {log} takes no line ({_why(error)})"
        remedy = f"set LAPIDICOM_AUDIT_LOG to a file, `{STDERR}` or `{SYSLOG}` that takes one within 5 s"
        raise OperatorError(what, remedy) from None
    phase = "failed"
    try:
        yield done
        phase = "ended"
    except (asyncio.CancelledError, KeyboardInterrupt):
        phase = "interrupted"
        raise
    finally:
        try:
            await _write(log, {**fields, "phase": phase, **done})
        except OSError as error:
            if phase == "ended":  # else what ended it is what an operator must hear of
                what = f"done, but the audit log {log} did not take the result ({_why(error)})"
                raise OperatorError(what) from error


def operator(given: str) -> str:
    """Who is at work, as name@host.

    Args:
        given: LAPIDICOM_OPERATOR; if it is empty, who logged in to this session.

    Raises:
        OperatorError: the login says nothing, as in a container, and LAPIDICOM_OPERATOR is not set.
    """
    try:
        return f"{_cut(given or os.getlogin())}@{socket.gethostname()}"
    except OSError:
        raise OperatorError("nobody says who you are", "set LAPIDICOM_OPERATOR to your name") from None


async def _write(log: str, fields: Mapping[str, Any]) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = json.dumps(
        {"timestamp": now, "event": "operator_act", **fields}, default=str, ensure_ascii=False
    ).encode()
    if len(line) >= MOST_BYTES:
        raise OSError(0, "the line is too long")
    until = time.monotonic() + SECONDS
    try:
        await in_thread(lambda: _write_now(log, line + b"\n", until), SECONDS)
    except TimeoutError:
        raise OSError(0, f"not written within {SECONDS:g} s") from None


def _write_now(log: str, line: bytes, until: float) -> None:
    """Write in one piece; what blocks for too long writes nothing later either."""
    if log == SYSLOG:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.settimeout(SECONDS)
            connection.sendto(b"<%d>lapidicom: %b" % (_AUTHPRIV_NOTICE, line), _SYSLOG_SOCKET)
        return
    fd = os.dup(2) if log == STDERR else _opened(log)
    try:
        is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        writable = is_file or select.select([], [fd], [], max(0.0, until - time.monotonic()))[1]
        if not writable or time.monotonic() >= until:
            raise TimeoutError
        if os.write(fd, line) != len(line):
            raise OSError(0, "the line was cut")
        if is_file:
            os.fsync(fd)
    finally:
        os.close(fd)


def _opened(log: str) -> int:
    """A descriptor of the log; of standard error where the log is our own output, which must stay clean."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    fd = os.open(log, flags, 0o640)
    if os.path.samestat(os.fstat(fd), os.fstat(1)):
        os.close(fd)
        return os.dup(2)
    return fd


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _cut(text: str) -> str:
    line = one_line(" ".join(text.split()))
    return line if len(line) <= MOST_CHARACTERS else f"{line[:MOST_CHARACTERS]}…"
