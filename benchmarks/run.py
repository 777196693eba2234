"""A contender at work: start it, send it instances, read its CPU time, count what it stored, stop it."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Self

from benchmarks.contenders import Contender, Stand
from benchmarks.processes import ProcessTree
from benchmarks.results import Sample
from benchmarks.sender import IMPLICIT_VR_LITTLE_ENDIAN, LOOPBACK, VERIFICATION, Association, SenderError

_START_SECONDS = 30.0
_SEND_SECONDS = 300.0


class RunError(Exception):
    """A contender did not start, or an association with it failed."""


class Running:
    """A contender that serves; leaving the context kills it and removes its stand.

    Args:
        contender: who.
        work: its stand becomes a folder here.
        associations: at once, in every run that does not say otherwise.
    """

    def __init__(self, contender: Contender, work: Path, associations: int) -> None:
        self.contender = contender
        self._work = work
        self._associations = associations
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = Path(mkdtemp(dir=self._work))
            stack.callback(shutil.rmtree, folder)
            self.stand = stand = Stand(free_port(), folder, self._associations)
            self._log = folder / "log"
            stand.stored.mkdir()
            stand.incoming.mkdir()
            command, environment = self.contender.command(stand), self.contender.environment(stand)
            self.tree = stack.enter_context(ProcessTree(command, environment, self._log))
            self._wait_until_it_serves()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def measure(self, files: Path, count: int, size: int, associations: int | None = None) -> Sample:
        """Send the first `count` files, each of `size` bytes; what was stored is removed outside the clock.

        Raises:
            RunError: an association failed.
        """
        before = self.tree.cpu_seconds()
        sent = self.send(files, count, associations or self._associations)
        cpu = self.tree.cpu_seconds() - before
        stored = self.clear()
        if self.contender.remembers:
            self._stack.close()
            self.__enter__()
        return Sample(sent["instances_per_s"], cpu / count, size, fault(sent, count, stored))

    def clear(self) -> int:
        """Remove what is stored; returns how many files that were."""
        stored = list(self.stand.stored.rglob(self.contender.stores))
        for file in stored:
            file.unlink()
        return len(stored)

    def _wait_until_it_serves(self) -> None:
        """Associate until it succeeds: an open port alone does not say that somebody serves it."""
        deadline = time.monotonic() + _START_SECONDS
        verification = [(VERIFICATION, IMPLICIT_VR_LITTLE_ENDIAN)]
        while True:
            with contextlib.suppress(OSError, SenderError):
                port = self.stand.port
                with Association(port, verification, called="ChRIS", calling="BENCH", timeout=5) as probe:
                    probe.release()
                    return
            if self.tree.ended:
                raise self._error("ended before it served")
            if time.monotonic() > deadline:
                raise self._error(f"does not serve after {_START_SECONDS:g} s")
            time.sleep(0.02)

    def send(self, files: Path, count: int, associations: int) -> dict[str, Any]:
        """Send the first `count` files; returns what the sender says of it.

        Raises:
            RunError: an association failed.
        """
        stand = self.stand
        command = [sys.executable, "-m", "benchmarks.sender", "--port", str(stand.port)]
        command += ["--associations", str(associations), "--limit", str(count), str(files)]
        answer = stand.folder / "sent"
        answer.unlink(missing_ok=True)
        with ProcessTree(command, os.environ, answer) as sender:
            try:
                sender.wait(_SEND_SECONDS)
            except subprocess.TimeoutExpired as error:
                raise self._error(f"took more than {_SEND_SECONDS:g} s for {count} instances") from error
        try:
            document: dict[str, Any] = json.loads(answer.read_text())
        except ValueError as error:
            raise self._error(f"the sender failed\n{_tail(answer)}") from error
        if document["failures"]:
            failures = "; ".join(document["failures"])
            raise self._error(f"after {document['instances']} instances: {failures}")
        return document

    def _error(self, reason: str) -> RunError:
        return RunError(f"{reason}\n{_tail(self._log)}".rstrip())


def fault(sent: Mapping[str, Any], count: int, stored: int) -> str | None:
    """Why a run does not count as good; None: it does."""
    if stored != count:
        return f"{count} sent, {stored} stored"
    return None if sent["statuses"] == {"0x0000": count} else f"statuses {sent['statuses']}"


def free_port() -> int:
    """A port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _tail(log: Path) -> str:
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join("    " + line for line in text.splitlines()[-15:])
