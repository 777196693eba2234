"""What every command gets: --json and --no-color, its output, its settings, its way to RabbitMQ.

A command is a function of a Shell and of typer's parameters; its module's `register` adds it with
`command`, which puts the common options in place of the Shell.
"""

import inspect
import typing
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec, TypeVar

import typer

from lapidicom.cli.connection import connected
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.output import Output, Streams

if TYPE_CHECKING:
    from aio_pika.abc import AbstractConnection

    from lapidicom.cli.settings import CommandSettings

P = ParamSpec("P")
T = TypeVar("T")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours, as with NO_COLOR set.")]


@dataclass(frozen=True)
class World:
    """What the process gives the command: environment and streams. Tests and pictures give their own.

    Attributes:
        environ: environment variables.
        streams: where output goes.
        start_logging: called before RabbitMQ or CUBE is asked; a process of its own sets its log up then.
    """

    environ: Mapping[str, str]
    streams: Streams
    start_logging: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class OptionsOf:
    """Marks a command's parameter that several options make: `Annotated[Filters, OptionsOf(make_filters)]`.

    Attributes:
        make: its parameters are the options, its result is the argument.
    """

    make: Callable[..., object]


@dataclass(frozen=True)
class Shell:
    """One run of one command.

    Attributes:
        environ: environment variables.
        output: where everything that it prints goes.
        command: its name without `lapidicom`, such as `dlq list`.
        start_logging: of the process.
    """

    environ: Mapping[str, str]
    output: Output
    command: str
    start_logging: Callable[[], None] = lambda: None

    @cached_property
    def settings(self) -> "CommandSettings":
        """The settings; read when they are first needed.

        Raises:
            OperatorError: one is missing or wrong.
        """
        from lapidicom.cli.settings import read_settings
        from lapidicom.common.settings import SettingsError

        try:
            return read_settings(self.environ)
        except SettingsError as error:
            text = "; ".join(str(error).splitlines())
            raise OperatorError(text, "see docs/settings.md", status=ExitStatus.UNUSABLE) from None

    def connection(self) -> "AbstractAsyncContextManager[AbstractConnection]":
        """A connection to RabbitMQ, closed at the end of the block.

        Raises:
            BrokerError: there is none; `run` makes an operator's line of it.
        """
        return connected(self.settings.amqp_url.get_secret_value(), self.command)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run what talks to RabbitMQ or CUBE. Ctrl-C cancels it, so that its connections are closed.

        Raises:
            OperatorError: RabbitMQ did not do what was asked.
        """
        try:
            return self._run(work)
        finally:
            work.close()  # where Ctrl-C came before it began

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        import asyncio  # what is slow to import is imported where it is needed: --help must be quick

        from lapidicom.common.broker import BrokerError, ConnectionLost, redacted

        self.start_logging()
        try:
            return asyncio.run(work)
        except BrokerError as error:
            broker = redacted(self.settings.amqp_url.get_secret_value())
            remedy = (
                "check AMQP_URL and that RabbitMQ runs"
                if isinstance(error, ConnectionLost)
                else "check the rights of AMQP_URL's user and `lapidicom topology check`"
            )
            raise OperatorError(f"RabbitMQ at {broker}: {error}", remedy, ExitStatus.UNUSABLE) from error


def group(name: str, summary: str) -> typer.Typer:
    """A group of commands, such as `dlq`, to which `command` adds."""
    return typer.Typer(name=name, help=summary, rich_markup_mode=None)


def command(
    app: typer.Typer, name: str, *, examples: Sequence[str]
) -> Callable[[Callable[Concatenate[Shell, P], T]], Callable[Concatenate[Shell, P], T]]:
    """Register a function as a command; its docstring is the help.

    Its first parameter is the Shell; the others are typer's. It returns an exit status, or nothing for 0.

    Args:
        app: the application or a group.
        name: of the command.
        examples: whole command lines for --help.
    """
    epilog = "\b\nExamples:\n" + "\n".join(f"  {example}" for example in examples)

    def register(function: Callable[Concatenate[Shell, P], T]) -> Callable[Concatenate[Shell, P], T]:
        app.command(name, epilog=epilog)(_with_shell(function))
        return function

    return register


def _with_shell(function: Callable[..., T]) -> Callable[..., T]:
    """The function as typer must see it: with a context and the common options in place of the shell."""
    made: dict[str, Callable[..., object]] = {}
    options: list[inspect.Parameter] = []
    for parameter in _parameters(function)[1:]:
        if (several := _options_of(parameter)) is None:
            options.append(parameter)
        else:
            made[parameter.name] = several.make
            options += _parameters(several.make)

    @wraps(function)
    def run(context: typer.Context, as_json: bool, no_color: bool, **arguments: object) -> T:
        world: World = context.find_root().obj
        output = Output(world.streams, world.environ, as_json=as_json, no_color=no_color)
        shell = Shell(
            world.environ,
            output,
            context.command_path.removeprefix("lapidicom").strip(),
            world.start_logging,
        )
        for name, make in made.items():
            arguments[name] = make(**{part.name: arguments.pop(part.name) for part in _parameters(make)})
        return function(shell, **arguments)

    common = [
        inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
        *options,
        inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json),
        inspect.Parameter("no_color", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=NoColor),
    ]
    run.__signature__ = inspect.Signature(common)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in common}
    del run.__wrapped__  # else inspection looks at the function itself
    return run


def _parameters(function: Callable[..., object]) -> list[inspect.Parameter]:
    hints = typing.get_type_hints(function, include_extras=True)
    return [
        parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(function).parameters.values()
    ]


def _options_of(parameter: inspect.Parameter) -> OptionsOf | None:
    marks = getattr(parameter.annotation, "__metadata__", ())
    return next((mark for mark in marks if isinstance(mark, OptionsOf)), None)
