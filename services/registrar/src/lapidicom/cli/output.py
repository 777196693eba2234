"""One renderer for the answers of all verbs: pydantic models, shown as JSON or as text.

With --json standard output holds the model's dump and nothing else. As text a model is its headline, its
plain fields as names and values, and a table for each list of models in it; how a field looks stands
beside it in the model (`Display`). At a terminal there are colours and boxes; piped there are none, and
columns are padded with blanks, never wrapped and never cut.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import BaseModel

from lapidicom.cli.answers import Answer, Display
from lapidicom.cli.errors import one_line
from lapidicom.cli.world import World

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Advance = Callable[[int], None]


class _Table(NamedTuple):
    """A table, ready to be printed: of models, or of names and values, which have no head."""

    title: str
    columns: Sequence[tuple[str, Display]]
    rows: Sequence[Sequence[str]]
    has_head: bool = True


_NAME_AND_VALUE: Final = (("", Display(style="cyan")), ("", Display()))


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
        out = self._streams.out
        if self.json:
            document = answer.model_dump(mode="json", by_alias=True)
            is_unicode = (out.encoding or "utf-8").lower().startswith("utf")
            out.write(f"{json.dumps(document, indent=2, ensure_ascii=not is_unicode)}\n")
        elif self.terminal:
            for part in self.rendered(answer):
                self.console.print(part)
        else:
            out.writelines(f"{line}\n" for line in self._lines(answer))
        out.flush()

    def text(self, text: str) -> None:
        """Print a line; nothing with --json."""
        if self.terminal:
            self.console.print(text, soft_wrap=True, markup=False)
        elif not self.json:
            self._streams.out.write(f"{text}\n")

    def warn(self, text: str) -> None:
        """Tell on stderr what an operator must know, piped or not."""
        self._streams.err.write(f"{one_line(text)}\n")

    def ask(self, text: str) -> None:
        """Put a question on stderr, behind all that was printed; its answer is the caller's business."""
        self._streams.out.flush()
        self._streams.err.write(f"{one_line(text)} ")
        self._streams.err.flush()

    @contextmanager
    def progress(self, what: str, total: int | None) -> Iterator[Advance]:
        """A progress bar on stderr, where that is a terminal; with a total of None nobody knows its length.

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
        for part in self._parts(answer):
            table = Table(box=box.SIMPLE_HEAD, show_header=part.has_head, pad_edge=False)
            table.title, table.title_justify = part.title or None, "left"
            for head, display in part.columns:
                table.add_column(head, justify="right" if display.right else "left", overflow="fold")
            for row in part.rows:
                cells = zip(row, part.columns, strict=True)
                table.add_row(*(Text(cell, _style(display, cell)) for cell, (_, display) in cells))
            yield table

    def _lines(self, answer: Answer) -> Iterator[str]:
        """An answer as lines that a pipe gets."""
        yield from answer.headline()
        for part in self._parts(answer):
            if part.title:
                yield part.title
            lines = [[head for head, _ in part.columns], *part.rows] if part.has_head else part.rows
            widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
            for line in lines:
                padded = (
                    cell.rjust(width) if display.right else cell.ljust(width)
                    for cell, width, (_, display) in zip(line, widths, part.columns, strict=True)
                )
                yield "  ".join(padded).rstrip()

    def _parts(self, answer: BaseModel, title: str = "") -> Iterator[_Table]:
        """The tables of an answer: its plain fields first, then its parts in their order."""
        plain: list[tuple[str, str]] = []
        parts: list[Iterable[_Table]] = []
        for name, head, display in _fields(type(answer)):
            match value := getattr(answer, name):
                case BaseModel():
                    parts.append(self._parts(value, head))
                case [BaseModel(), *_]:
                    parts.append([self._table(head, value)])
                case Mapping() if value:
                    pairs = [(f"  {key}", self._cell(one, Display())) for key, one in value.items()]
                    pairs = [pair for pair in pairs if pair[1]]
                    parts.append([_Table(head, _NAME_AND_VALUE, pairs, has_head=False)])
                case _ if cell := self._cell(value, display):
                    plain.append((f"  {head}", cell))
        if plain:
            yield _Table(title, _NAME_AND_VALUE, plain, has_head=False)
        yield from chain.from_iterable(parts)

    def _table(self, title: str, rows: Sequence[BaseModel]) -> _Table:
        """Columns are the fields of which any row has something to show."""
        fields = list(_fields(type(rows[0])))
        cells = [[self._cell(getattr(row, name), display) for name, _, display in fields] for row in rows]
        used = [number for number, column in enumerate(zip(*cells, strict=True)) if any(column)]
        columns = [fields[one][1:] for one in used]
        return _Table(title, columns, [[row[one] for one in used] for row in cells])

    def _cell(self, value: Any, display: Display) -> str:
        """The text of a value; empty if there is nothing to show."""
        form = display.short if self.terminal and display.short is not None else display.form
        match value:
            case None | False | "":
                return ""
            case True if form is str:
                return "yes"
            case Mapping():
                return ", ".join(f"{name} {number}" for name, number in value.items())
            case list() | tuple():
                return one_line(", ".join(map(form, value)))
            case _:
                return one_line(form(value))


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, str, Display]]:
    """The fields that are shown: name, title, and how they look."""
    shown = model.shown if issubclass(model, Answer) else ()
    for name, info in model.model_fields.items():
        display = next((one for one in info.metadata if isinstance(one, Display)), Display())
        if not display.hidden and (not shown or name in shown):
            yield name, name.replace("_", " ") if display.title is None else display.title, display


def _style(display: Display, cell: str) -> str:
    return display.style if isinstance(display.style, str) else display.style.get(cell, "")
