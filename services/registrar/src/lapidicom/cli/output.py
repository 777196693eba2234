"""Everything that a command prints: tables, text and JSON on stdout; notes and progress on stderr.

At a terminal there are colours, boxes and progress bars. Piped there are none: columns are padded with
blanks, never wrapped and never cut. With --json stdout holds one JSON document and nothing else.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lapidicom.cli.world import World

if TYPE_CHECKING:
    from rich.console import Console

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: its heading.
        right: numbers are aligned on the right.
        style: rich's style at a terminal.
    """

    title: str
    right: bool = False
    style: str = ""


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

    def document(self, document: Any) -> None:
        """Print one JSON document; times become ISO 8601."""
        text = json.dumps(document, indent=2, default=_plain, ensure_ascii=False)
        try:
            text.encode(self._streams.out.encoding or "utf-8")
        except UnicodeEncodeError:  # half a surrogate pair in a message, or a terminal that knows no Unicode
            text = json.dumps(document, indent=2, default=_plain)
        self._streams.out.write(f"{text}\n")

    def text(self, text: str = "", style: str = "") -> None:
        """Print a line, or several; nothing with --json."""
        if self.json:
            return
        if self.terminal:
            self.console.print(text, style=style or None, soft_wrap=True, markup=False)
        else:
            self._streams.out.write(f"{text}\n")

    def table(
        self, columns: Sequence[Column | str], rows: Iterable[Sequence[object]], title: str = ""
    ) -> None:
        """Print a table; None is an empty cell. Nothing with --json."""
        if self.json:
            return
        heads = [Column(column) if isinstance(column, str) else column for column in columns]
        cells = [["" if cell is None else _one_line(str(cell)) for cell in row] for row in rows]
        if self.terminal:
            self._rich_table(heads, cells, title)
        else:
            self._plain_table(heads, cells, title)

    def fields(self, rows: Iterable[tuple[str, object]]) -> None:
        """Print names and values, one pair a line; what is None is left out. Nothing with --json."""
        if self.json:
            return
        pairs = [(name, _one_line(str(value))) for name, value in rows if value is not None]
        if self.terminal:
            self._rich_fields(pairs)
            return
        width = max((len(name) for name, _ in pairs), default=0)
        for name, value in pairs:
            self._streams.out.write(f"  {name.ljust(width)}  {value}".rstrip() + "\n")

    def flush(self) -> None:
        """Let a reader at the other end of a pipe have what was printed so far."""
        self._streams.out.flush()

    def note(self, text: str) -> None:
        """Tell something beside the result, on stderr; nothing when piped or with --json."""
        if self.terminal:
            self._streams.err.write(f"{text}\n")

    def warn(self, text: str) -> None:
        """Tell on stderr what an operator must know, piped or not."""
        self._streams.err.write(f"{_one_line(text)}\n")

    def ask(self, text: str) -> None:
        """Put a question on stderr, behind all that was printed; its answer is the caller's business."""
        self.flush()
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

    def _rich_table(self, columns: Sequence[Column], rows: list[list[str]], title: str) -> None:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(
                column.title,
                justify="right" if column.right else "left",
                style=column.style or None,
                overflow="fold",
            )
        for row in rows:
            table.add_row(*map(Text, row))
        self.console.print(table)

    def _rich_fields(self, pairs: Sequence[tuple[str, str]]) -> None:
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="cyan", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in pairs:
            grid.add_row(name, Text(value))
        self.console.print(Padding(grid, (0, 0, 0, 2)))

    def _plain_table(self, columns: Sequence[Column], rows: list[list[str]], title: str) -> None:
        lines = [[column.title for column in columns], *rows]
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        write = self._streams.out.write
        if title:
            write(f"{title}\n")
        for line in lines:
            padded = (
                cell.rjust(width) if column.right else cell.ljust(width)
                for cell, width, column in zip(line, widths, columns, strict=True)
            )
            write(f"{'  '.join(padded).rstrip()}\n")


def _one_line(text: str) -> str:
    """What others wrote must not move the cursor, colour the terminal, or break a line."""
    return "".join(character if character.isprintable() else " " for character in text)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")
