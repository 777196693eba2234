"""What the process gives the command: environment and streams. Tests and pictures give their own."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class World:
    """One run of the command.

    Attributes:
        environ: environment variables.
        out: standard output.
        err: standard error.
        console: for a picture: records what a terminal would show, in place of `out`.
        start_logging: called before RabbitMQ or CUBE is asked; a process of its own sets its log up then.
    """

    environ: Mapping[str, str]
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    console: "Console | None" = None
    start_logging: Callable[[], None] = lambda: None
