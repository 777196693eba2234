import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer

from lapidicom.cli import __main__ as application
from lapidicom.cli.answers import Answer
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.shell import Shell, command
from lapidicom.cli.world import World
from lapidicom.common.broker import ConnectionLost, Refused
from tests.support.command import Ended, in_process, surroundings

URL = "amqp://who:secret@broker.example:5672/"


@dataclass(frozen=True)
class Numbers:
    """Two options."""

    a: Annotated[int, typer.Option()] = 1
    b: Annotated[int, typer.Option()] = 2


class Told(Answer):
    """What the probe says."""

    total: int
    verb: str
    is_json: bool


class Line(Answer):
    """A line."""

    def headline(self) -> list[str]:
        """It."""
        return ["Müller…"]


@command("lapidicom dlq probe --a 3")
async def probe(shell: Shell, numbers: Numbers, fault: Annotated[str, typer.Option()] = "") -> ExitStatus:
    """Do something."""
    match fault:
        case "operator":
            raise OperatorError("it is\nwrong", "do it\nright", ExitStatus.BUSY)
        case "interrupt":
            raise KeyboardInterrupt
        case "lost":
            raise ConnectionLost("no answer within 10 s")
        case "refused":
            raise Refused("no right")
    shell.output.show(Told(total=numbers.a + numbers.b, verb=shell.verb, is_json=shell.output.json))
    return ExitStatus.FAILED


@command()
async def broken(shell: Shell) -> None:
    """Fail."""
    raise KeyError(f"DOE^JANE {shell.verb}")


@command()
async def tell(shell: Shell) -> None:
    """Say something."""
    shell.output.show(Line())


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Runs `lapidicom dlq probe`."""

    monkeypatch.setitem(application.VERBS["dlq"], "probe", ("Probe.", f"{__name__}:probe"))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Told.__module__])
    return lambda *arguments: in_process("dlq", "probe", *arguments, AMQP_URL=URL)


def test_a_command_gets_its_shell_its_options_and_ends_with_its_status(probed: Callable[..., Ended]) -> None:
    ended = probed("--a", "40", "--json")
    assert ended.status == 1
    assert ended.document == {"total": 42, "verb": "dlq probe", "is_json": True}
    assert probed("--a", "40").lines == ["  total  42", "  verb   dlq probe"]


def test_an_operators_error_is_one_line_that_names_the_remedy(probed: Callable[..., Ended]) -> None:
    ended = probed("--fault", "operator")
    assert (ended.status, ended.out, ended.err) == (3, "", "lapidicom: it is wrong: do it right\n")


def test_ctrl_c_ends_with_130_and_one_line(probed: Callable[..., Ended]) -> None:
    ended = probed("--fault", "interrupt")
    assert (ended.status, ended.out, ended.err) == (130, "", "lapidicom: interrupted\n")


@pytest.mark.parametrize(("fault", "remedy"), [("lost", "that RabbitMQ runs"), ("refused", "the rights")])
def test_a_broker_that_fails_is_named_without_its_password(
    probed: Callable[..., Ended], fault: str, remedy: str
) -> None:
    ended = probed("--fault", fault)
    assert ended.status == 2
    assert ended.err.startswith("lapidicom: RabbitMQ at amqp://broker.example:5672/: no ")
    assert remedy in ended.err
    assert "secret" not in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["dlq", "probe", "--a", "x"], "--a"),
        (["dlq", "probe", "--nonsense"], "--nonsense"),
        (["dlq", "probe", "more"], "more"),
        (["dlq", "nonsense"], "nonsense"),
        (["dlq", "exprt"], "Did you mean 'export'?"),
        (["dlq"], "command"),
        (["nonsense"], "nonsense"),
    ],
)
@pytest.mark.usefixtures("probed")
def test_wrong_use_is_one_line_that_names_the_help(arguments: list[str], expected: str) -> None:
    ended = in_process(*arguments)
    assert (ended.status, ended.out) == (2, "")
    assert expected in ended.err
    assert ended.err.startswith("lapidicom")
    assert ended.err.endswith("--help`)\n")
    assert ended.err.count("\n") == 1


def test_a_setting_that_is_missing_is_one_line() -> None:
    ended = in_process("dlq", "list")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("lapidicom: AMQP_URL is not set")
    assert ended.err.count("\n") == 1


def test_help_is_the_answer_to_nothing() -> None:
    assert in_process() == in_process("--help")
    assert "Exit status: 0" in in_process().out


def _all_commands() -> list[tuple[str, ...]]:
    return [
        (*([] if group == "lapidicom" else [group]), name)
        for group, verbs in application.VERBS.items()
        for name, (_, place) in verbs.items()
        if place
    ]


@pytest.mark.parametrize("names", _all_commands(), ids=" ".join)
def test_every_command_has_a_help_with_an_example_and_the_common_options(names: tuple[str, ...]) -> None:
    ended = in_process(*names, "--help")
    assert ended.status == 0
    assert f"  lapidicom {' '.join(names)}" in ended.out.partition("Example")[2]
    assert "--json" in ended.out
    assert "--no-color" in ended.out


def test_the_version_is_that_of_the_distribution() -> None:
    assert in_process("--version").out == "lapidicom 0.1.0\n"


def test_a_fault_of_ours_is_one_line_that_tells_where_and_no_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(application.VERBS["dlq"], "probe", ("Probe.", f"{__name__}:broken"))
    monkeypatch.setattr(sys, "argv", ["lapidicom", "dlq", "probe"])
    with pytest.raises(SystemExit) as caught:
        application.main()
    assert caught.value.code == 70
    line = capsys.readouterr().err
    assert re.fullmatch(
        r"lapidicom: .*KeyError in unit/cli/test_shell.py:[0-9]+: please report this line\n", line
    )


def test_a_reader_that_has_seen_enough_is_no_failure() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out:
        done = subprocess.run(
            [sys.executable, "-m", "lapidicom.cli", "--help"],
            stdout=out,
            stderr=subprocess.PIPE,
            env=surroundings(),
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")


def test_what_is_slow_to_import_is_not_imported_before_it_is_needed() -> None:
    program = "import sys; from lapidicom.cli.__main__ import build; build(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    slow = {"aio_pika", "httpx", "pydantic", "rich", "structlog"}
    assert slow & set(done.stdout.split()) == set()


def test_a_terminal_that_lacks_a_character_gets_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setitem(application.VERBS["dlq"], "probe", ("Probe.", f"{__name__}:tell"))
    monkeypatch.setattr(sys, "argv", ["lapidicom", "dlq", "probe"])
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    with pytest.raises(SystemExit) as caught:
        application.main()
    assert (caught.value.code, written.getvalue()) == (0, b"M?ller?\n")


def test_ctrl_c_before_the_work_begins_says_no_more_than_that() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    err = io.StringIO()
    world = World({"AMQP_URL": URL}, io.StringIO(), err, start_logging=interrupt)
    assert application.run(["dlq", "list"], world) == 130
    assert err.getvalue() == "lapidicom: interrupted\n"


@pytest.mark.parametrize(
    ("as_json", "limit", "rows"), [(False, None, 20), (True, None, 0), (False, 0, 0), (True, 5, 5)]
)
def test_text_has_twenty_rows_and_json_all_unless_a_limit_is_given(
    as_json: bool, limit: int | None, rows: int
) -> None:
    assert Shell(World({}), "dlq list", as_json=as_json).rows(limit) == rows
