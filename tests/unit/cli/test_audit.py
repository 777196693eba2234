"""Each act is a line before it and one after it; one whose line cannot be written is not begun."""

import asyncio
import json
import os
import select
import socket
from pathlib import Path
from typing import Any

import pytest

from lapidicom.cli import audit
from lapidicom.cli.audit import MOST_BYTES, audited, operator
from lapidicom.cli.errors import OperatorError

Act = tuple[str, str, str, str, str, int | None]


async def _do(act: Act, fault: BaseException | None = None) -> None:
    async with audited(*act) as done:
        done["sent"] = 2
        if fault is not None:
            raise fault


def act(log: Path | str, *, who: str = "alice", reason: str = "mended", what: str = "--all") -> Act:
    return str(log), who, "dlq replay", reason, what, 3


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_an_act_is_told_before_it_and_after_it(tmp_path: Path) -> None:
    log = tmp_path / "audit"
    asyncio.run(_do(act(log)))
    begun, ended = lines(log)
    assert begun.pop("timestamp") <= ended.pop("timestamp")
    assert begun.pop("id") == ended.pop("id")
    common = {"event": "operator_act", "operator": f"alice@{socket.gethostname()}", "act": "dlq replay"}
    assert begun == {**common, "reason": "mended", "phase": "begun", "what": "--all", "count": 3}
    assert ended == {**common, "reason": "mended", "phase": "ended", "sent": 2}
    assert log.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("fault", "phase"),
    [
        (ValueError("DOE"), "failed"),
        (KeyboardInterrupt(), "interrupted"),
        (asyncio.CancelledError(), "interrupted"),
    ],
)
def test_however_it_ends_that_is_told(tmp_path: Path, fault: BaseException, phase: str) -> None:
    log = tmp_path / "audit"
    with pytest.raises(type(fault)):
        asyncio.run(_do(act(log), fault))
    assert [line["phase"] for line in lines(log)] == ["begun", phase]
    assert lines(log)[1]["sent"] == 2
    assert "DOE" not in log.read_text()


def test_an_act_that_cannot_be_told_is_not_begun(tmp_path: Path) -> None:
    began = []

    async def begin() -> None:
        async with audited(*act(tmp_path / "none" / "audit")):
            began.append(1)

    with pytest.raises(OperatorError, match=r"not begun: the audit log .* takes no line"):
        asyncio.run(begin())
    assert began == []


def test_a_pipe_that_nobody_reads_refuses_the_act_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "SECONDS", 0.2)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(OperatorError, match="No such device"):  # nobody has opened it
        asyncio.run(_do(act(fifo)))
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    try:
        while select.select([], [writer], [], 0)[1]:
            os.write(writer, b"x" * 4096)
        with pytest.raises(OperatorError, match=r"not written within 0\.2 s"):
            asyncio.run(_do(act(fifo)))
    finally:
        os.close(reader)
        os.close(writer)


def test_a_pipe_that_is_read_takes_each_line_in_one_piece(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        asyncio.run(_do(act(fifo, reason="\N{GRINNING FACE}" * 900, what="\x01" * 900)))
        told = os.read(reader, 65536).splitlines(keepends=True)
    finally:
        os.close(reader)
    assert [json.loads(line)["phase"] for line in told] == ["begun", "ended"]
    assert all(len(line) <= MOST_BYTES for line in told)


def test_syslog_gets_the_line_where_it_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "log")
    monkeypatch.setattr(audit, "_SYSLOG_SOCKET", path)
    with pytest.raises(OperatorError, match="audit log syslog takes no line"):
        asyncio.run(_do(act("syslog")))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path)
        asyncio.run(_do(act("syslog")))
        told = [listening.recv(8192) for _ in range(2)]
    assert told[0].startswith(b'<85>lapidicom: {"timestamp"')


def test_the_commands_own_output_stays_clean(capfd: pytest.CaptureFixture[str]) -> None:
    asyncio.run(_do(act("/proc/self/fd/1")))
    told = capfd.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 2


def test_standard_error_takes_the_lines_where_that_is_wanted(capfd: pytest.CaptureFixture[str]) -> None:
    asyncio.run(_do(act("stderr")))
    assert [json.loads(line)["phase"] for line in capfd.readouterr().err.splitlines()] == ["begun", "ended"]


def test_who_logged_in_is_the_operator_unless_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getlogin", lambda: "bob")
    assert operator("") == f"bob@{socket.gethostname()}"
    assert operator("alice") == f"alice@{socket.gethostname()}"


def test_in_a_container_the_operator_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise OSError

    monkeypatch.setattr("os.getlogin", nobody)
    with pytest.raises(OperatorError, match="nobody says who you are") as caught:
        operator("")
    assert "LAPIDICOM_OPERATOR" in caught.value.remedy
