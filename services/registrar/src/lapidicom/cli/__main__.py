"""The composition of `lapidicom`: its verbs, loaded when they are asked for, and how a run of it ends."""

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, Final

try:
    import typer
    from typer.core import TyperGroup

    from lapidicom.cli.errors import ExitStatus, OperatorError
    from lapidicom.cli.world import World
except KeyboardInterrupt:  # typer takes a moment to be imported
    sys.stderr.write("lapidicom: interrupted\n")
    sys.exit(130)

NAME: Final = "lapidicom"

HELP: Final = """Look at lapidicom, find what failed and why, and mend it.

\b
What is set in the environment is what can be seen: AMQP_URL always; CHRIS_URL, CHRIS_USERNAME,
CHRIS_PASSWORD for CUBE; CHRIS_FILES_ROOT for the volume; AMQP_MANAGEMENT_URL for alarms and policies.

\b
Exit status: 0 done or healthy; 1 degraded, not found, or some failed; 2 wrong use or settings, or
RabbitMQ or CUBE down; 3 another operator is at work; 70 an internal error; 130 ended by Ctrl-C.
"""

VERBS: Final = {
    NAME: {
        "status": ("Is it well? The whole system on one screen.", ".status:status"),
        "doctor": ("Is it well? Everything that lapidicom needs, checked.", ".doctor:doctor"),
        "dlq": ("What failed and why? Send it again, or take it away.", ""),
        "trace": ("Where is this instance, series or study?", ".trace:trace"),
        "heal": ("Let CUBE 6 have all files of a series that came too late.", ".heal:heal"),
        "reconcile": ("Is everything there? Enqueue what was lost.", ".reconcile:reconcile"),
    },
    "dlq": {
        "list": ("List dead letters, oldest first, or groups of them.", ".dlq_list:list_letters"),
        "show": ("Show one: its history, CUBE's answer, what to do.", ".dlq_show:show"),
        "replay": ("Send them back to the work queue.", ".dlq_replay:replay"),
        "export": ("Write them to a file.", ".dlq_transfer:export"),
        "import": ("Put exported ones back.", ".dlq_transfer:import_letters"),
        "drop": ("Take them out for good.", ".dlq_drop:drop"),
    },
}
"""The verbs of each group: a line for the list of them, and the function that `shell.command` made; none of a
group."""


class _Group(TyperGroup):
    """Lists its verbs, and loads the one that is asked for: nothing of the others is imported."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._verbs = VERBS[self.name or NAME]
        self.commands.update(dict.fromkeys(self._verbs))  # type: ignore[arg-type]  # their names alone

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 (typer names it)
        if cmd_name not in self._verbs:
            return None
        summary, place = self._verbs[cmd_name]
        if not place:
            return _group(cmd_name, summary, lambda: None)
        module, _, function = place.partition(":")
        found = getattr(import_module(module, "lapidicom.cli.verbs"), function)
        app = typer.Typer(rich_markup_mode=None, add_completion=False)
        app.command(cmd_name, epilog=found.epilog)(found)
        return typer.main.get_command(app)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (summary, _) in self._verbs.items()])


def _group(name: str, text: str, options: Any) -> Any:
    app = typer.Typer(name=name, cls=_Group, rich_markup_mode=None, add_completion=name == NAME)
    app.callback(help=text)(options)
    return typer.main.get_command(app)


def build() -> Any:
    """The command, of which no verb is loaded yet."""
    return _group(NAME, HELP, _root)


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
    """What stands before all verbs."""


def run(arguments: Sequence[str], world: World) -> int:
    """Run one command line; returns the exit status and never raises for what an operator may meet."""
    try:
        with contextlib.redirect_stdout(world.out):
            status = build().main(
                list(arguments) or ["--help"], prog_name=NAME, standalone_mode=False, obj=world
            )
        world.out.flush()
    except OperatorError as error:
        world.err.write(f"{NAME}: {error.line}\n")
        return error.status
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else NAME
        text = " ".join(error.format_message().replace("Value error, ", "").split())
        world.err.write(f"{path}: {text} (see `{path} --help`)\n")
        return ExitStatus.UNUSABLE
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # typer makes status 1 of it
            raise error.__context__ from None
        raise
    except typer.Abort:
        status = ExitStatus.INTERRUPTED
    if status == ExitStatus.INTERRUPTED:  # typer has made it of the KeyboardInterrupt
        world.err.write(f"{NAME}: interrupted\n")
    return int(status or ExitStatus.OK)


def _start_logging() -> None:
    """Troubles are lines of standard error; imported late: --help needs no log."""
    from lapidicom.common import logs
    from lapidicom.common.settings import LogSection, SettingsError, load

    try:
        section = load(LogSection, os.environ)
    except SettingsError as error:
        raise OperatorError(str(error), "see docs/settings.md") from None
    logs.configure(section, service=NAME)


def main() -> None:
    """Entry point; no traceback reaches an operator, whose data it might show."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a character is no reason to fail
    try:
        status = run(sys.argv[1:], World(os.environ, start_logging=_start_logging))
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
    return f"internal error, {type(error).__name__} in {place}:{last.lineno}: please report this line"


if __name__ == "__main__":
    main()
