"""Runs `lapidicom`: as a process, as an operator does, or in this process, where that is cheaper."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from structlog.testing import capture_logs

from lapidicom.cli.__main__ import run
from lapidicom.cli.world import World

OURS = ("AMQP_", "CHRIS_", "LAPIDICOM_", "REGISTRATION_", "NO_COLOR", "FORCE_COLOR")
"""Variables of the surroundings that must not reach the command."""

OPERATOR = "tester"
"""Nobody has logged in where tests run."""


@dataclass(frozen=True)
class Ended:
    """What a run has left.

    Attributes:
        status: exit status.
        out: standard output.
        err: standard error.
    """

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as the JSON document that it must be."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """Standard output, line by line."""
        return self.out.splitlines()


def surroundings(**settings: str) -> dict[str, str]:
    """The environment of a command: this process's own without our settings, and these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return inherited | {"LAPIDICOM_OPERATOR": OPERATOR} | settings


def lapidicom(*arguments: str, seconds: float = 60, **settings: str) -> Ended:
    """Run the command as a process; its output is piped."""
    done = subprocess.run(
        [sys.executable, "-m", "lapidicom.cli", *arguments],
        env=surroundings(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def start(*arguments: str, **settings: str) -> subprocess.Popen[str]:
    """Start the command as a process, for a test that ends it."""
    return subprocess.Popen(
        [sys.executable, "-m", "lapidicom.cli", *arguments],
        env=surroundings(**settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def in_process(*arguments: str, environ: Mapping[str, str] | None = None, **settings: str) -> Ended:
    """Run the command in this process, piped; it sees these settings only."""
    out, err = io.StringIO(), io.StringIO()
    with capture_logs():  # unconfigured, structlog writes to standard output
        given = {"LAPIDICOM_OPERATOR": OPERATOR, "LAPIDICOM_AUDIT_LOG": os.devnull, **(environ or {})}
        status = run(arguments, World({**given, **settings}, out, err))
    return Ended(status, out.getvalue(), err.getvalue())
