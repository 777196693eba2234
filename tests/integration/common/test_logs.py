"""What a process's log looks like from outside: a real interpreter, its standard error read as a pipe."""

import json
import subprocess
import sys
from typing import Any

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
import lapidicom.common.logs as logs
writes = []
real, logs.os.write = os.write, lambda fd, data: writes.append(data) or len(data)
log.info("one", text="x" * 9000)
log.info("two")
logs.os.write = real
assert len(writes) == 2 and all(data.endswith(b"\\n") for data in writes), writes
"""
    assert run(code) == ""


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
