"""How much memory the receiver takes, as shipped (`make bench BENCH=memory`).

Idle trees, connected to RabbitMQ, are told as proportional set sizes: pages that processes share are
counted once. The other figures are the most private memory that was seen in many looks during a load,
less that of the same tree before it.

QUICK=1 takes a smaller instance and fewer of them, and ends within 50 seconds.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.contenders import AMQP_URL_OF_NOBODY, receiver
from benchmarks.goals import verdict
from benchmarks.instances import SMALL, write_files
from benchmarks.places import file_system_of, folder_in_memory
from benchmarks.processes import ProcessTree
from benchmarks.results import Result, Spread, write
from benchmarks.run import RunError, Running, fault
from benchmarks.surroundings import RESULTS, quick, run
from tests.support.rabbitmq import open_broker

_LOOK_SECONDS: Final = 0.1
_SETTLED_SECONDS: Final = 2.0
_SETTLE_SECONDS: Final = 10.0
_SETTLED_BYTES: Final = 300_000
_SEND_SECONDS: Final = 300.0
_MEGABYTE: Final = 1e6


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is sent."""

    huge: int
    many: int
    first: int
    associations: int = 16
    per_association: int = 100


QUICK: Final = Plan(huge=1 << 30, many=6_000, first=2_000)
FULL: Final = Plan(huge=2 << 30, many=20_000, first=2_000)


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure and its goal, both in MB (10^6 bytes)."""

    name: str
    found: float
    at_most: float


FLAT: Final = 8.0
"""MB that something flat may grow: a buffer of 1 MiB or two, and what the allocator keeps."""


@dataclass
class Looks:
    """Looks at a tree's private memory again and again, in a thread of its own."""

    tree: ProcessTree
    sizes: list[int] = field(default_factory=list)

    @contextmanager
    def during(self) -> Iterator[None]:
        """Look as long as the context lasts."""
        stop = threading.Event()

        def look() -> None:
            while not stop.wait(_LOOK_SECONDS):
                self.sizes.append(self.tree.private_memory())

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self.sizes.append(self.tree.private_memory())

    @property
    def most(self) -> int:
        """The most that was seen."""
        return max(self.sizes)


class Bench:
    """Takes the figures one after the other.

    Args:
        plan: how much is sent.
        work: an empty folder.
        url: AMQP URL of a virtual host for us alone.
    """

    def __init__(self, plan: Plan, work: Path, url: str) -> None:
        self._plan = plan
        self._work = work
        self._url = url
        self._files = work / SMALL.name
        self.told: list[str] = []

    def run(self) -> Iterator[Measure]:
        """Yield each figure."""
        plan = self._plan
        write_files(SMALL, max(plan.many, plan.associations * plan.per_association), self._files)
        with self._receiver(self._url, 2) as running:
            two = self._settled(running.tree.memory)
        with self._receiver(self._url, 1) as running:
            one = self._settled(running.tree.memory)
            yield Measure("process tree idle, one listener", one / _MEGABYTE, 170)
            yield Measure("each further listener, idle", (two - one) / _MEGABYTE, 65)
            yield from self._loads(running)
        with self._receiver(AMQP_URL_OF_NOBODY, 1) as running:
            self._settled(running.tree.private_memory)
            first = self._send(running, plan.first)
            then = self._send(running, plan.many)
            name = f"{plan.many:,} instances, RabbitMQ stopped: above {plan.first:,}"
            yield Measure(name, (then - first) / _MEGABYTE, FLAT)

    def _loads(self, running: Running) -> Iterator[Measure]:
        plan, idle = self._plan, running.tree.private_memory()
        count = plan.associations * plan.per_association
        most = self._send(running, count, plan.associations)
        yield Measure(f"{plan.associations} associations: above idle", (most - idle) / _MEGABYTE, 32)
        before = self._settled(running.tree.private_memory)
        size = f"{plan.huge / (1 << 30):g} GiB"
        command = [sys.executable, "-m", "benchmarks.huge_sender", "--bytes", str(plan.huge)]
        command += ["--port", str(running.stand.port)]
        answer = running.stand.folder / "huge"
        looks = Looks(running.tree)
        with ProcessTree(command, os.environ, answer) as sender, looks.during():
            if sender.wait(_SEND_SECONDS):
                raise RunError(f"one instance of {size}: {answer.read_text()[-1000:]}")
        document: dict[str, Any] = json.loads(answer.read_text())
        stored = running.clear()
        if stored != 1:
            raise RunError(f"one instance of {size}: {stored} files")
        self.told.append(f"one instance of {size}: {document['mb_per_s']:.0f} MB/s")
        yield Measure(f"one instance of {size}: above before", (looks.most - before) / _MEGABYTE, FLAT)

    def _send(self, running: Running, count: int, associations: int = 1) -> int:
        """Send instances; returns the most memory seen."""
        looks = Looks(running.tree)
        with looks.during():
            sent = running.send(self._files, count, associations)
        wrong = fault(sent, count, running.clear())
        if wrong:
            raise RunError(wrong)
        return looks.most

    def _receiver(self, url: str, listeners: int) -> Running:
        settings = {"AMQP_URL": url, "CHRIS_LISTENER_PROCESSES": str(listeners)}
        return Running(receiver(f"lapidicom, {listeners}", settings), self._work, 1)

    @staticmethod
    def _settled(memory: Callable[[], int]) -> int:
        """The memory once it no longer changes: a process that has just begun still imports."""
        deadline, size, since = time.monotonic() + _SETTLE_SECONDS, memory(), time.monotonic()
        while time.monotonic() < deadline and time.monotonic() - since < _SETTLED_SECONDS:
            time.sleep(_LOOK_SECONDS)
            now = memory()
            if abs(now - size) > _SETTLED_BYTES:
                size, since = now, time.monotonic()
        return size


def report(measures: Sequence[Measure], told: Sequence[str], durability: str) -> list[Result]:
    """Print the table; return the figures."""
    print(f"\nmemory, MB (10^6 bytes) of the process tree: {durability}")
    print("\n".join(f"  {measure.name:64}{measure.found:8.1f}" for measure in measures))
    print("\n".join(f"  ({line})" for line in told), end="\n\n")
    for measure in measures:
        found = Spread.of([measure.found])
        print(verdict(f"memory, {measure.name}", found, at_most=measure.at_most, unit=" MB", digits=1))
    return [
        Result(
            f"memory, {measure.name}",
            round(measure.found, 1),
            measure.at_most,
            "goal",
            round(measure.found / measure.at_most, 3),
            "MB",
            durability,
        )
        for measure in measures
    ]


def main() -> int:
    """Take the figures; the exit status is 0 unless something failed."""
    plan = QUICK if quick() else FULL
    with ExitStack() as stack:
        work = stack.enter_context(folder_in_memory())
        broker = stack.enter_context(open_broker(vhosts=1))
        durability = f"as shipped, {file_system_of(work)}"
        bench = Bench(plan, work, broker.url(broker.fresh_vhost()))
        measures: list[Measure] = []
        try:
            for measure in bench.run():
                measures.append(measure)
        except RunError as error:
            print(f"FAILED: {error}")
            return 1
        finally:
            write(report(measures, bench.told, durability), RESULTS)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
