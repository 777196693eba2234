"""One renderer for the answers of all verbs: pydantic models, shown as JSON or as text.

With --json standard output holds the model's dump and nothing else. As text a model is its headline, its
plain fields as names and values, and a table for each list of models in it; how a field looks stands
beside it in the model (`Display`). At a terminal there are colours and boxes; piped there are none, and
columns are padded with blanks, never wrapped and never cut.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lapidicom.cli.answers import Answer, Display
from lapidicom.cli.world import World

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Advance = Callable[[int], None]


class Output:
    """The output of one command.

    Args:
        world: streams, and an environment of which NO_COLOR is read.
        as_json: print JSON only.
        no_color: of the command line.
    """

    def __init__(self, world: World, *, as_json: bool = False, no_color: bool = False) -> None:
        self._streams = world
        self._no_color = no_color or bool(world.environ.get("NO_COLOR"))
        self.json = as_json
        self.terminal = not as_json and (world.console is not None or world.out.isatty())
        """Whether people watch: then there may be colours and boxes."""

    @cached_property
    def console(self) -> "Console":
        """Rich's console on stdout; for what is redrawn in place. Only at a terminal."""
        from rich.console import Console

        return self._streams.console or Console(
            file=self._streams.out, no_color=self._no_color, highlight=False, emoji=False, markup=False
        )

    def show(self, answer: Answer) -> None:
        """Print an answer, in the one form or the other."""
        if self.json:
            self._document(answer.model_dump(mode="json", by_alias=True))
        elif self.terminal:
            for part in self.rendered(answer):
                self.console.print(part)
        else:
            self._streams.out.writelines(f"{line}\n" for line in self._lines(answer))
        self._streams.out.flush()

    def text(self, text: str = "", style: str = "") -> None:  # noqa: ARG002
        """Print a line; nothing with --json."""
        if self.json:
            return
        if self.terminal:
            self.console.print(text, soft_wrap=True, markup=False)
        else:
            self._streams.out.write(f"{text}\n")

    def note(self, text: str) -> None:
        """Tell something beside the result, on stderr; nothing when piped or with --json."""
        if self.terminal:
            self._streams.err.write(f"{text}\n")

    def warn(self, text: str) -> None:
        """Tell on stderr what an operator must know, piped or not."""
        self._streams.err.write(f"{_one_line(text)}\n")

    def ask(self, text: str) -> None:
        """Put a question on stderr, behind all that was printed; its answer is the caller's business."""
        self._streams.out.flush()
        self._streams.err.write(f"{_one_line(text)} ")
        self._streams.err.flush()

    @contextmanager
    def progress(self, what: str, total: int | None) -> Iterator[Advance]:
        """A progress bar on stderr, where that is a terminal.

        Args:
            what: is being done.
            total: how many there are; None if nobody knows.

        Yields:
            A function that takes how many more are done.
        """
        if not self.terminal or not self._streams.err.isatty():
            yield lambda _: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(file=self._streams.err, no_color=self._no_color)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda more: bar.advance(task, more)

    def rendered(self, answer: Answer) -> "Iterator[RenderableType]":
        """An answer as parts that rich prints."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        for line in answer.headline():
            yield Text(line, "bold")
        for title, rows in _parts(answer, short=True):
            table = Table(box=box.SIMPLE_HEAD, show_header=rows.has_head, pad_edge=False)
            table.title, table.title_justify = title or None, "left"
            for head, display in rows.columns:
                table.add_column(head, justify="right" if display.right else "left", overflow="fold")
            for row in rows.cells:
                cells = zip(row, rows.columns, strict=True)
                table.add_row(*(Text(cell, _style(display, cell)) for cell, (_, display) in cells))
            yield table

    def _lines(self, answer: Answer) -> Iterator[str]:
        yield from answer.headline()
        for title, rows in _parts(answer, short=False):
            if title:
                yield title
            lines = [[head for head, _ in rows.columns], *rows.cells] if rows.has_head else rows.cells
            widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
            for line in lines:
                padded = (
                    cell.rjust(width) if display.right else cell.ljust(width)
                    for cell, width, (_, display) in zip(line, widths, rows.columns, strict=True)
                )
                yield "  ".join(padded).rstrip()

    def _document(self, document: Any) -> None:
        text = json.dumps(document, indent=2, ensure_ascii=False)
        try:
            text.encode(self._streams.out.encoding or "utf-8")
        except UnicodeEncodeError:  # a terminal that knows no Unicode
            text = json.dumps(document, indent=2)
        self._streams.out.write(f"{text}\n")


@dataclass(frozen=True)
class _Rows:
    """A table, ready to be printed: of models, or of names and values."""

    columns: Sequence[tuple[str, Display]]
    cells: Sequence[Sequence[str]]
    has_head: bool = True


def _parts(answer: BaseModel, title: str = "", *, short: bool) -> Iterator[tuple[str, _Rows]]:
    """The tables of an answer: its plain fields first, then its parts in their order."""
    plain, parts = [], []
    for name, display, value in _fields(answer):
        if isinstance(value, BaseModel | Mapping) or _has_models(value):
            parts.append((name, value))
        else:
            plain.append((f"  {name}", _cell(value, display, short=short)))
    if plain:
        yield title, _names_and_values(plain)
    for name, value in parts:
        if isinstance(value, BaseModel):
            yield from _parts(value, name, short=short)
        elif isinstance(value, Mapping):
            pairs = [(f"  {key}", _cell(one, Display(), short=short)) for key, one in value.items()]
            yield name, _names_and_values([pair for pair in pairs if pair[1]])
        else:
            yield name, _table(value, short=short)


def _names_and_values(pairs: Sequence[tuple[str, str]]) -> _Rows:
    return _Rows((("", Display(style="cyan")), ("", Display())), pairs, has_head=False)


def _table(rows: Sequence[BaseModel], *, short: bool) -> _Rows:
    """Columns are the fields that any of the rows has."""
    found = [
        {name: _cell(value, display, short=short) for name, display, value in _fields(row)} for row in rows
    ]
    infos = type(rows[0]).model_fields.items()
    columns = [(_title(name, _display(info)), _display(info)) for name, info in infos]
    columns = [column for column in columns if any(column[0] in row for row in found)]
    cells = [[row.get(name, "") for name, _ in columns] for row in found]
    return _Rows(columns, cells)


def _fields(model: BaseModel) -> Iterator[tuple[str, Display, Any]]:
    """The fields that are shown and have something to show, by their titles."""
    for name, info in type(model).model_fields.items():
        display, value = _display(info), getattr(model, name)
        names = model.shown if isinstance(model, Answer) else ()
        has_value = bool(value) or (isinstance(value, int | float) and not isinstance(value, bool))
        if not display.hidden and (not names or name in names) and has_value:
            yield _title(name, display), display, value


def _cell(value: Any, display: Display, *, short: bool) -> str:
    form = display.short if short and display.short is not None else display.form
    match value:
        case None:
            return ""
        case bool() if form is str:
            return "yes" if value else "no"
        case Mapping():
            return ", ".join(f"{name} {number}" for name, number in value.items())
        case list() | tuple():
            return _one_line(", ".join(map(form, value)))
        case _:
            return _one_line(form(value))


def _display(info: FieldInfo) -> Display:
    return next((one for one in info.metadata if isinstance(one, Display)), Display())


def _title(name: str, display: Display) -> str:
    return name.replace("_", " ") if display.title is None else display.title


def _style(display: Display, cell: str) -> str:
    return display.style if isinstance(display.style, str) else display.style.get(cell, "")


def _has_models(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], BaseModel)


def _one_line(text: str) -> str:
    """What others wrote must not move the cursor, colour the terminal, or break a line."""
    return "".join(character if character.isprintable() else " " for character in text)
