"""Logging: structlog lines with stable event names, one write() each, to standard error.

Standard error, not standard output: a log is no result, and what a dying interpreter says is there
too. Whoever logs never waits for the write (see `log_writer`). No value of a data set ever reaches a
log, so an exception is logged as its types, errno and code locations without its text (an OSError's
text holds a path, and a path holds a PatientID), and of a library's own records only the unformatted
text is kept.
"""

import json
import logging
import os
import select
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from lapidicom.common.log_writer import LineWriter, encoded
from lapidicom.common.settings import LogSection

STANDARD_ERROR: Final = 2

SILENCED: Final = ("pynetdicom", "pydicom", "httpx", "httpcore", "aiormq.connection")
"""Libraries whose records are dropped: they log data sets, identifiers or URLs with queries, or say
at each attempt to connect what our own event says better."""

_FRAMES_SHOWN: Final = 8

_SHORTER: Final = (400, 40, 0)
"""Characters left of each text of a line that is too long, at the first, second and third try."""

_BYTES_OF_A_CHARACTER: Final = 6
"""At most: a lone surrogate is written as its escape."""


def configure(log: LogSection, **bound: object) -> None:
    """Set the process's logging up; called once, by each process's composition root.

    Args:
        log: format and level.
        bound: fields that every line of this process carries, such as `process="listener"`.
    """
    console = log.log_format == "console" or (log.log_format == "auto" and os.isatty(STANDARD_ERROR))
    processors = _processors(console, bound)

    def dropped_line(count: int) -> str:
        event: Any = {"event": "log_lines_dropped", "count": count}
        for processor in processors:
            event = processor(None, "warning", event)
        return str(event)

    writer = LineWriter(STANDARD_ERROR, dropped_line)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if log.verbose else logging.INFO),
        logger_factory=lambda *_: writer,
        cache_logger_on_first_use=True,
    )
    _take_over_library_logging()
    _take_over_uncaught_exceptions()


def flush() -> None:
    """Wait, not for long, until what was logged is written; to be called before os._exit."""
    writer = structlog.get_config()["logger_factory"]()
    if isinstance(writer, LineWriter):
        writer.flush()


def describe_exception(error: BaseException) -> dict[str, Any]:
    """What may be logged of an exception: types along its chain, errno, innermost frames; never its text."""
    chain = []
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        chain.append(_name(link))
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_SHOWN:]
    return {
        "exception": " < ".join(chain),
        "frames": [f"{_shorten(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _name(error: BaseException) -> str:
    name = type(error).__qualname__
    if isinstance(error, OSError) and error.errno is not None:
        return f"{name} (errno {error.errno}, {os.strerror(error.errno)})"
    return name


def _shorten(path: str) -> str:
    for mark in ("/site-packages/", "/src/"):
        path = path.rpartition(mark)[2]
    return path


def _processors(console: bool, bound: dict[str, object]) -> list[Processor]:
    def add_bound(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {**bound, **event}

    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=os.isatty(STANDARD_ERROR))
        if console
        else structlog.processors.JSONRenderer(serializer=json.dumps)
    )
    return [
        structlog.contextvars.merge_contextvars,
        add_bound,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _render_exception,
        _whole(renderer),
    ]


def _whole(renderer: Processor) -> Processor:
    """No line is longer than PIPE_BUF: a longer one may be torn by those of our other processes (pipe(7))."""

    def render(logger: WrappedLogger, method: str, event: EventDict) -> str:
        line = str(renderer(logger, method, dict(event)))
        for most in _SHORTER:
            if len(line) < select.PIPE_BUF // _BYTES_OF_A_CHARACTER or len(encoded(line)) <= select.PIPE_BUF:
                break
            short = {name: _shorten_value(value, most) for name, value in event.items()}
            line = str(renderer(logger, method, {**short, "shortened": True}))
        return line

    return render


def _shorten_value(value: object, most: int) -> object:
    """At most so many characters of a text, and so many elements of a list as make sense in a log line."""
    if isinstance(value, list | tuple):
        return [_shorten_value(element, most) for element in value[:_FRAMES_SHOWN]]
    return value if isinstance(value, bool | int | float | None) else str(value)[:most]


def _render_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    info = event.pop("exc_info", None)
    error = sys.exception() if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event.update(describe_exception(error))
    return event


class _LibraryHandler(logging.Handler):
    """Turns a library's record into a line of ours, without its arguments: they may hold anything."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.msg.partition("\n")[0] if isinstance(record.msg, str) else type(record.msg).__name__
        log = structlog.get_logger()
        log.log(record.levelno, "library_log", logger=record.name, text=text, exc_info=record.exc_info)


def _take_over_library_logging() -> None:
    root = logging.getLogger()
    root.handlers[:] = [_LibraryHandler()]
    root.setLevel(logging.WARNING)
    for name in SILENCED:
        logger = logging.getLogger(name)
        logger.handlers[:] = [logging.NullHandler()]
        logger.propagate = False
        logger.setLevel(logging.CRITICAL + 1)
    warnings.showwarning = _log_warning


def _log_warning(
    message: Warning | str,  # noqa: ARG001 -- its text may quote a value
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    """Takes the place of warnings.showwarning: pydicom's warnings quote values of the data set."""
    structlog.get_logger().warning(
        "library_warning", category=category.__name__, at=f"{_shorten(filename)}:{lineno}"
    )


def _take_over_uncaught_exceptions() -> None:
    """The interpreter's own hooks print an exception's text; these log its type and place."""

    def in_main(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
        _log_uncaught(error)

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            _log_uncaught(args.exc_value, thread=args.thread.name if args.thread else None)

    sys.excepthook = in_main
    threading.excepthook = in_thread
    sys.unraisablehook = _unraisable(_log_uncaught)


def _unraisable(log: Callable[[BaseException], None]) -> Callable[[Any], None]:
    def hook(args: Any) -> None:
        if args.exc_value is not None:
            log(args.exc_value)

    return hook


def _log_uncaught(error: BaseException, **fields: object) -> None:
    structlog.get_logger().critical("uncaught_exception", exc_info=error, **fields)
