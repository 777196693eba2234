"""Errors that an operator sees: one line, never a traceback. Pure."""

from enum import IntEnum


def one_line(text: str) -> str:
    """What others wrote must not move the cursor, colour the terminal, or break a line."""
    return "".join(character if character.isprintable() else " " for character in text)


class ExitStatus(IntEnum):
    """What the command's exit status says; documented in docs/cli.md."""

    OK = 0
    """Done, or healthy."""
    FAILED = 1
    """Done, and the answer is bad: degraded, not found, some of it failed."""
    UNUSABLE = 2
    """Not done: wrong options or settings, or RabbitMQ or CUBE is not reachable."""
    BUSY = 3
    """Not done: another operator is at work; nothing was changed."""
    FAULT = 70
    """An internal error, to be reported."""
    INTERRUPTED = 130
    """Ended by Ctrl-C; queues are as they were, apart from what the output says."""


class OperatorError(Exception):
    """The command cannot go on.

    Args:
        what: names what is wrong, without patient data and without credentials.
        remedy: what the operator can do about it.
        status: exit status of the command.
    """

    def __init__(self, what: str, remedy: str = "", status: ExitStatus = ExitStatus.UNUSABLE) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.status = status

    @property
    def line(self) -> str:
        """The one line, whatever line breaks the parts had."""
        text = f"{self.what}: {self.remedy}" if self.remedy else self.what
        return " ".join(text.split())
