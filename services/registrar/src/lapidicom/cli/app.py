"""The composition of `lapidicom`: its commands, and how a run of it ends."""

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from lapidicom.cli.commands import (
    audit,
    config,
    dlq,
    doctor,
    drop,
    reconcile,
    replay,
    status,
    topology,
    trace,
    transfer,
)
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.output import Streams
from lapidicom.cli.shell import World, group

NAME = "lapidicom"

HELP = """Look at lapidicom, find what failed and why, and mend it.

\b
What is set in the environment is what can be seen: AMQP_URL always; CHRIS_URL, CHRIS_USERNAME,
CHRIS_PASSWORD for CUBE; CHRIS_FILES_ROOT for the volume; AMQP_MANAGEMENT_URL for rates and policies.

\b
Exit status: 0 done or healthy; 1 degraded, not found, or some failed; 2 wrong use or settings, or
RabbitMQ or CUBE down; 3 another operator is at work; 70 a fault of its own; 130 ended by Ctrl-C.
"""


def build() -> typer.Typer:
    """Put the commands together."""
    app = typer.Typer(name=NAME, rich_markup_mode=None)
    app.callback(help=HELP)(_root)
    letters = group("dlq", "Dead letters: look at them, understand them, mend them.")
    for module in (dlq, replay, transfer, drop):
        module.register(letters)
    app.add_typer(letters)
    for module in (status, topology, trace, reconcile, config, doctor, audit):
        module.register(app)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"{NAME} {version('lapidicom-registrar')}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """What stands before all commands."""


def run(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    streams: Streams,
    start_logging: Callable[[], None] = lambda: None,
) -> int:
    """Run one command line; returns the exit status and never raises for what an operator may meet.

    Args:
        arguments: without the program's name.
        environ: environment variables.
        streams: where output goes.
        start_logging: of a process of its own.
    """
    application = typer.main.get_command(build())
    try:
        with contextlib.redirect_stdout(streams.out):
            status = application.main(
                list(arguments) or ["--help"],
                prog_name=NAME,
                standalone_mode=False,
                obj=World(environ, streams, start_logging),
            )
        streams.out.flush()
    except OperatorError as error:
        streams.err.write(f"{NAME}: {error.line}\n")
        return error.status
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else NAME
        streams.err.write(f"{path}: {' '.join(error.format_message().split())} (see `{path} --help`)\n")
        return ExitStatus.UNUSABLE
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # typer makes status 1 of it
            raise error.__context__ from None
        raise
    except typer.Abort:
        status = ExitStatus.INTERRUPTED
    if status == ExitStatus.INTERRUPTED:  # typer has made it of the KeyboardInterrupt
        streams.err.write(f"{NAME}: interrupted\n")
    return int(status or ExitStatus.OK)


def _start_logging() -> None:
    """Acts and troubles are lines of standard error; imported late: --help needs no log."""
    from lapidicom.common import logs
    from lapidicom.common.settings import LogSection, SettingsError, load

    try:
        section = load(LogSection, os.environ)
    except SettingsError as error:
        raise OperatorError(str(error), "see docs/settings.md", ExitStatus.UNUSABLE) from None
    logs.configure(section, service=NAME)


def main() -> None:
    """Entry point; no traceback reaches an operator, whose data it might show."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a character is no reason to fail
    try:
        status = run(sys.argv[1:], os.environ, Streams(), _start_logging)
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = ExitStatus.OK
    except Exception as error:  # noqa: BLE001 (the last one: what is not foreseen is a fault of ours)
        sys.stderr.write(f"{NAME}: {_fault(error)}\n")
        status = ExitStatus.FAULT
    sys.exit(status)


def _fault(error: Exception) -> str:
    """Where it happened, and no value: texts of exceptions may quote patient data."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = "/".join(Path(last.filename).parts[-3:])
    return f"a fault of its own, {type(error).__name__} in {place}:{last.lineno}: please report this line"
