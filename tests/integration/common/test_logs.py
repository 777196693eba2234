"""What a process's log looks like from outside: a real interpreter, its standard error read as a pipe."""

import fcntl
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

PREAMBLE = """
import asyncio, logging, threading, warnings
import structlog
from lapidicom.common.logs import configure
from lapidicom.common.settings import LogSection
configure(LogSection(log_format={log_format!r}, verbose={verbose}), process="test")
log = structlog.get_logger()
"""


def run(code: str, *, log_format: str = "json", verbose: bool = False) -> str:
    script = PREAMBLE.format(log_format=log_format, verbose=verbose) + code
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    assert result.stdout == ""
    return result.stderr


def lines(code: str, *, verbose: bool = False) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(code, verbose=verbose).splitlines()]


def test_a_line_is_json_with_event_level_time_and_the_fields_of_its_process() -> None:
    [line] = lines("log.info('association_started', association='a1')")
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "association_started", "level": "info", "process": "test", "association": "a1"}


def test_the_console_form_is_one_readable_line() -> None:
    [line] = run("log.info('listening', scp_port=11111)", log_format="console").splitlines()
    assert "listening" in line
    assert "scp_port=11111" in line


def test_auto_is_json_where_standard_error_is_no_terminal() -> None:
    [line] = run("log.info('listening')", log_format="auto").splitlines()
    assert json.loads(line)["event"] == "listening"


def test_debug_lines_need_verbose() -> None:
    code = "log.debug('instance_stored')"
    assert lines(code) == []
    assert [line["event"] for line in lines(code, verbose=True)] == ["instance_stored"]


def test_each_line_is_one_write() -> None:
    code = """
import os
from lapidicom.common import logs
writes = []
real, os.write = os.write, lambda fd, data: writes.append(data) or len(data)
log.info("one", text="x" * 3000)
log.info("two")
logs.flush()
os.write = real
assert len(writes) == 2 and all(data.endswith(b"\\n") for data in writes), writes
"""
    assert run(code) == ""


def test_a_line_that_a_pipe_could_tear_is_shortened_to_what_a_pipe_takes_as_a_whole() -> None:
    [line] = run("log.info('not_ready', reasons=['ä' * 900] * 90, number=7, text='x' * 9000)").splitlines()
    assert len(line.encode()) < select.PIPE_BUF
    found = json.loads(line)
    assert (found["event"], found["number"], found["shortened"]) == ("not_ready", 7, True)
    assert found["text"].startswith("xxx")
    assert found["reasons"][0].startswith("ä")


@contextmanager
def unread(code: str) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """A process whose standard error is a full pipe of one page, and the reading end of that pipe."""
    reading, writing = os.pipe()
    size = fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, select.PIPE_BUF)
    os.write(writing, b"{}" + b" " * (size - 3) + b"\n")
    script = PREAMBLE.format(log_format="json", verbose=False) + code
    with (
        os.fdopen(reading, "rb") as pipe,
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=writing) as process,
    ):
        os.close(writing)
        yield process, pipe


def until_done(process: subprocess.Popen[bytes]) -> None:
    """Wait until it prints `done`."""
    assert process.stdout is not None
    assert process.stdout.readline() == b"done\n"


def read_all(pipe: IO[bytes]) -> list[dict[str, Any]]:
    """All lines until the last writer has gone; the first one only filled the pipe."""
    return [json.loads(line) for line in pipe][1:]


def test_who_logs_does_not_wait_for_a_pipe_that_nobody_reads_and_what_is_lost_is_counted() -> None:
    code = """
for number in range(5_000): log.info("counted", number=number)
print("done", flush=True)
"""
    with unread(code) as (process, pipe):
        until_done(process)
        *written, dropped = read_all(pipe)
    assert [line["number"] for line in written] == list(range(len(written)))
    assert (dropped["event"], dropped["process"]) == ("log_lines_dropped", "test")
    assert len(written) + dropped["count"] == 5_000


def test_the_end_of_a_process_waits_only_a_moment_for_a_pipe_that_nobody_reads() -> None:
    with unread("log.info('lost')") as (process, _):
        assert process.wait(20) == 0


def test_what_was_logged_last_is_written_before_the_process_ends() -> None:
    found = lines("for number in range(900): log.info('last', number=number)")
    assert [line["number"] for line in found] == list(range(900))


def test_a_child_made_by_fork_writes_its_own_lines_and_none_of_its_parents() -> None:
    found = lines("""
import os
log.info("parent")
pid = os.fork()
log.info("child" if pid == 0 else "parent")
if pid: os.waitpid(pid, 0)
""")
    assert sorted(line["event"] for line in found) == ["child", "parent", "parent"]


def test_a_descriptor_that_another_process_made_non_blocking_loses_no_line() -> None:
    code = """
import os
os.set_blocking(2, False)
for number in range(50): log.info("counted", number=number)
print("done", flush=True)
"""
    with unread(code) as (process, pipe):
        until_done(process)
        assert [line["number"] for line in read_all(pipe)] == list(range(50))


def test_a_closed_standard_error_does_not_stop_the_process() -> None:
    script = PREAMBLE.format(log_format="json", verbose=False)
    script += "import os\nos.close(2)\nlog.info('lost')\nprint('still here')"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    assert result.stdout == "still here\n"


def test_the_text_of_an_exception_never_reaches_the_log() -> None:
    code = """
try:
    try:
        open("/nowhere/DOE^JANE")
    except OSError as error:
        raise ValueError("DOE^JANE") from error
except ValueError:
    log.exception("failed")
"""
    text = run(code)
    assert "DOE" not in text
    line = json.loads(text)
    assert line["exception"] == "ValueError < FileNotFoundError (errno 2, No such file or directory)"
    assert line["frames"] == ["<string>:13 <module>"]


def test_uncaught_exceptions_are_logged_without_their_text() -> None:
    code = """
def fail(): raise RuntimeError("DOE^JANE")
thread = threading.Thread(target=fail, name="association"); thread.start(); thread.join()
class Held:
    def __del__(self): fail()
Held()
fail()
"""
    text = run(code)
    assert "DOE" not in text
    found = [json.loads(line) for line in text.splitlines()]
    assert [(line["event"], line["exception"], line.get("thread")) for line in found] == [
        ("uncaught_exception", "RuntimeError", "association"),
        ("uncaught_exception", "RuntimeError", None),
        ("uncaught_exception", "RuntimeError", None),
    ]


def test_the_failure_of_a_task_that_nobody_awaits_is_logged_without_its_text() -> None:
    code = """
async def fail(): raise OSError(5, "DOE^JANE")
async def main():
    task = asyncio.create_task(fail()); await asyncio.sleep(0.01); del task
asyncio.run(main())
"""
    text = run(code)
    assert "DOE" not in text
    line = json.loads(text)
    assert (line["event"], line["logger"], line["text"]) == (
        "library_log",
        "asyncio",
        "Task exception was never retrieved",
    )


def test_library_records_keep_their_unformatted_text_only() -> None:
    code = """
logging.getLogger("aio_pika").warning("connection of %s lost", "DOE^JANE")
logging.getLogger("aio_pika").info("not shown")
"""
    [line] = lines(code)
    assert (line["event"], line["level"], line["logger"]) == ("library_log", "warning", "aio_pika")
    assert line["text"] == "connection of %s lost"


def test_the_loggers_that_would_show_data_sets_and_urls_are_silent_even_when_verbose() -> None:
    code = """
import pydicom, httpx
for name in ("pynetdicom", "pynetdicom.acse", "pydicom", "httpx", "httpcore.http11"):
    logging.getLogger(name).critical("DOE^JANE")
"""
    assert run(code, verbose=True) == ""


def test_a_warning_is_logged_by_its_category_only() -> None:
    [line] = lines("warnings.warn('Invalid value DOE^JANE')")
    assert (line["event"], line["category"], line["at"]) == ("library_warning", "UserWarning", "<string>:8")
