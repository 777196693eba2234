"""What every command gets: --json and --no-color, its output, its settings, its way to RabbitMQ.

A command is a function of a Shell and of typer's parameters; `command` puts the common options in place
of the Shell. Modules of commands are imported when they are asked for (`app`), so they import as they like.
"""

import asyncio
import inspect
import typing
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

import typer
from aio_pika.abc import AbstractConnection

from lapidicom.cli.connection import connected
from lapidicom.cli.errors import OperatorError
from lapidicom.cli.output import Output
from lapidicom.cli.settings import CommandSettings, read_settings
from lapidicom.cli.world import World
from lapidicom.common.broker import BrokerError, ConnectionLost, redacted
from lapidicom.common.settings import SettingsError

P = ParamSpec("P")
T = TypeVar("T")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours, as with NO_COLOR set.")]


@dataclass(frozen=True)
class OptionsOf:
    """Marks a command's parameter that several options make: `Annotated[Filters, OptionsOf(make_filters)]`.

    Attributes:
        make: its parameters are the options, its result is the argument.
    """

    make: Callable[..., object]


class Shell:
    """One run of one command.

    Args:
        world: environment and streams.
        command: its name without `lapidicom`, such as `dlq list`.
        as_json: print one JSON document.
        no_color: no colours.

    Attributes:
        output: where everything that it prints goes.
    """

    def __init__(self, world: World, command: str, *, as_json: bool = False, no_color: bool = False) -> None:
        self.environ = world.environ
        self.command = command
        self.output = Output(world, as_json=as_json, no_color=no_color)
        self._start_logging = world.start_logging

    @cached_property
    def settings(self) -> CommandSettings:
        """The settings; read when they are first needed.

        Raises:
            OperatorError: one is missing or wrong.
        """
        try:
            return read_settings(self.environ)
        except SettingsError as error:
            raise OperatorError("; ".join(str(error).splitlines()), "see docs/settings.md") from None

    @property
    def amqp_url(self) -> str:
        """AMQP_URL, with credentials."""
        return self.settings.amqp_url.get_secret_value()

    def connection(self) -> AbstractAsyncContextManager[AbstractConnection]:
        """A connection to RabbitMQ, closed at the end of the block.

        Raises:
            BrokerError: there is none; `run` makes an operator's line of it.
        """
        return connected(self.amqp_url, self.command)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run what talks to RabbitMQ or CUBE. Ctrl-C cancels it, so that its connections are closed.

        Raises:
            OperatorError: RabbitMQ did not do what was asked.
        """
        try:
            self._start_logging()
            return asyncio.run(work)
        except BrokerError as error:
            remedy = (
                "check AMQP_URL and that RabbitMQ runs"
                if isinstance(error, ConnectionLost)
                else "check the rights of AMQP_URL's user and `lapidicom doctor`"
            )
            raise OperatorError(f"RabbitMQ at {redacted(self.amqp_url)}: {error}", remedy) from error
        finally:
            work.close()  # where Ctrl-C came before it began


def command(*examples: str) -> Callable[[Callable[Concatenate[Shell, P], T]], Callable[..., T]]:
    """Make a command of a function; its docstring is the help.

    Its first parameter is the Shell; the others are typer's. It returns an exit status, or nothing for 0.

    Args:
        examples: whole command lines for --help.
    """

    def make(function: Callable[Concatenate[Shell, P], T]) -> Callable[..., T]:
        run = _with_shell(function)
        run.epilog = "\b\nExamples:\n" + "\n".join(f"  {example}" for example in examples)  # type: ignore[attr-defined]
        return run

    return make


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
        name = context.command_path.removeprefix("lapidicom").strip()
        shell = Shell(context.find_root().obj, name, as_json=as_json, no_color=no_color)
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
