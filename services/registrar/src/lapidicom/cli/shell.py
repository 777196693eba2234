"""What every verb gets: common options, output, settings, and its way to RabbitMQ and to the audit log."""

import asyncio
import inspect
import sys
import typing
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from itertools import chain
from typing import Annotated, Any, Concatenate, Final, ParamSpec, TypeVar

import typer
from aio_pika.abc import AbstractConnection

from lapidicom.cli.audit import audited, operator
from lapidicom.cli.errors import OperatorError
from lapidicom.cli.in_thread import in_thread
from lapidicom.cli.output import Output
from lapidicom.cli.settings import CommandSettings
from lapidicom.cli.world import World
from lapidicom.common.broker import BrokerError, ConnectionLost, Publisher, connection, redacted
from lapidicom.common.broker.publisher import open_publisher
from lapidicom.common.settings import SettingsError, load

P = ParamSpec("P")
T = TypeVar("T")
Verb = Callable[Concatenate["Shell", P], Coroutine[Any, Any, int | None]]

APP_ID: Final = "lapidicom"
ANSWER_SECONDS: Final = 900.0
ROWS: Final = 20

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours, as with NO_COLOR set.")]
Because = Annotated[str, typer.Option("--because", help="Why; goes into the audit log.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")]
Limit = Annotated[
    int | None,
    typer.Option(min=0, help=f"Rows to show; 0: all. By default {ROWS}, and all with --json."),
]
ShowPhi = Annotated[
    bool,
    typer.Option(
        "--show-phi", help="Show patient data: identity, paths, CUBE's words. Goes into the audit log."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def run_id() -> str:
    """Names one run of an act, in headers and in the audit."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"


class Shell:
    """One run of one verb.

    Args:
        world: environment and streams.
        verb: its name without `lapidicom`, such as `dlq list`.
        as_json: print one JSON document.
        no_color: no colours.
    """

    def __init__(self, world: World, verb: str, *, as_json: bool = False, no_color: bool = False) -> None:
        self.environ = world.environ
        self.verb = verb
        self.output = Output(world, as_json=as_json, no_color=no_color)
        self._start_logging = world.start_logging

    @cached_property
    def settings(self) -> CommandSettings:
        """The settings; read when they are first needed.

        Raises:
            OperatorError: one is missing or wrong.
        """
        try:
            return load(CommandSettings, self.environ)
        except SettingsError as error:
            raise OperatorError("; ".join(str(error).splitlines()), "see docs/settings.md") from None

    @property
    def amqp_url(self) -> str:
        """AMQP_URL, with credentials."""
        return self.settings.amqp_url.get_secret_value()

    def rows(self, limit: int | None) -> int:
        """How many rows to show; 0: all."""
        return limit if limit is not None else 0 if self.output.json else ROWS

    def more(self, count: int) -> None:
        """Say that rows are left out."""
        if count:
            self.output.text(f"{count} more: --limit 0 shows all")

    def connection(self) -> AbstractAsyncContextManager[AbstractConnection]:
        """A connection to RabbitMQ, under a name that its management shows.

        Raises:
            BrokerError: there is none; `run` makes an operator's line of it.
        """
        try:
            who = operator(self.settings.operator)
        except OperatorError:
            who = "somebody"
        return connection(self.amqp_url, f"lapidicom {self.verb} {who}")

    @asynccontextmanager
    async def publishing(self) -> AsyncIterator[Publisher]:
        """A publisher, on a connection apart from the one that reads.

        A broker in alarm stops reading from connections that publish, and acknowledgements must get through.
        """
        async with self.connection() as link:
            yield await open_publisher(link, APP_ID)

    def audited(
        self, because: str, what: str, count: int | None = None
    ) -> AbstractAsyncContextManager[dict[str, Any]]:
        """Do something within the audit; see `audit.audited`."""
        settings = self.settings
        return audited(settings.audit_log, settings.operator, self.verb, because, what, count)

    def seeing_patient_data(
        self, show_phi: bool, because: str, what: str
    ) -> AbstractAsyncContextManager[dict[str, Any]]:
        """Within the audit if patient data will be shown."""
        return self.audited(because, f"{what} --show-phi") if show_phi else nullcontext({})

    async def is_wanted(self, question: str) -> bool:
        """Ask the operator; no answer within 15 min is a no."""
        self.output.ask(f"{question} [y/N]")
        try:
            answer = await in_thread(sys.stdin.readline, ANSWER_SECONDS)
        except TimeoutError:
            return False
        return answer.strip().lower() in {"y", "yes"}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run what talks to others. Ctrl-C cancels it, so that its connections are closed.

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


def command(*examples: str) -> Callable[[Verb[P]], Callable[..., int]]:
    """Make a command of a function; its docstring is the help.

    Its first parameter is the Shell, in whose place typer sees a context and the common options; the others
    are typer's, but for dataclasses, whose fields are. It returns an exit status, or nothing for 0.

    Args:
        examples: whole command lines for --help.
    """

    def make(function: Verb[P]) -> Callable[..., int]:
        _, *parameters = _parameters(function)
        groups: dict[str, Any] = {
            one.name: one.annotation for one in parameters if is_dataclass(one.annotation)
        }
        several = ([one] if one.name not in groups else _parameters(one.annotation) for one in parameters)
        common = [
            _parameter("context", annotation=typer.Context),
            *chain.from_iterable(several),
            _parameter("as_json", annotation=Json, default=False),
            _parameter("no_color", annotation=NoColor, default=False),
        ]

        def run(context: typer.Context, as_json: bool, no_color: bool, **given: Any) -> int:
            verb = context.command_path.removeprefix("lapidicom").strip()
            shell = Shell(context.find_root().obj, verb, as_json=as_json, no_color=no_color)
            for name, group in groups.items():
                given[name] = group(**{one.name: given.pop(one.name) for one in fields(group)})
            return shell.run(function(shell, **given)) or 0  # type: ignore[call-arg]  # of its signature

        run.__doc__ = function.__doc__
        run.__signature__ = inspect.Signature(common)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in common}
        run.epilog = "\b\nExamples:\n" + "\n".join(f"  {one}" for one in examples)  # type: ignore[attr-defined]
        return run

    return make


_parameter = partial(inspect.Parameter, kind=inspect.Parameter.KEYWORD_ONLY)


def _parameters(function: Callable[..., object]) -> list[inspect.Parameter]:
    hints = typing.get_type_hints(function, include_extras=True)
    return [
        _parameter(one.name, default=one.default, annotation=hints[one.name])
        for one in inspect.signature(function).parameters.values()
    ]
