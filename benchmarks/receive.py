"""How fast instances are received, without syncs: lapidicom beside its peers (`make bench`).

Each round runs all contenders back to back, their order rotated; each serves on a port and in a folder of its
own and is idle while others run. Rates are medians; ratios are medians of the ratios within a round, because
a shared machine is not equally fast from one minute to the next.

QUICK=1 leaves out the rows with four associations and ends within 50 seconds.
"""

import os
import platform
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.contenders import lapidicom, pynetdicom, storescp
from benchmarks.instances import LARGE, SMALL, Kind, write_files
from benchmarks.places import file_system_of, folder_in_memory
from benchmarks.results import Result, Round, Sample, comparisons, rate_ratio, table, write
from benchmarks.run import RunError, Running

OURS: Final = "lapidicom"
_WARM_UP_SHARE: Final = 4
RESULTS: Final = Path(".bench/results.json")


@dataclass(frozen=True, slots=True)
class Row:
    """What is sent in one run.

    Attributes:
        kind: of the instances.
        associations: at once, each with its share of the instances.
        count: instances in one run.
        slow_count: instances for contenders that are many times slower, so that a round stays short.
    """

    kind: Kind
    associations: int
    count: int
    slow_count: int

    @property
    def name(self) -> str:
        """As tables show it."""
        return f"{self.kind.name} x{self.associations}"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    rows: Sequence[Row]
    rounds: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Goal:
    """The least ratio of our rate to a peer's."""

    row: str
    peer: str
    ratio: float


QUICK: Final = Plan((Row(LARGE, 1, 500, 60), Row(SMALL, 1, 5000, 200)), rounds=9, seconds=40)
FULL: Final = Plan(
    (
        Row(LARGE, 1, 1000, 100),
        Row(SMALL, 1, 12_000, 400),
        Row(LARGE, 4, 1000, 200),
        Row(SMALL, 4, 12_000, 800),
    ),
    rounds=9,
    seconds=900,
)
GOALS: Final = (Goal("512 KiB x1", "storescp +B", 0.8), Goal("20 KB x1", "storescp +B", 0.5))


class Bench:
    """Runs the rounds and keeps what they gave.

    Args:
        plan: how much is measured.
        work: an empty folder; its file system is the one that is measured.
    """

    def __init__(self, plan: Plan, work: Path) -> None:
        self._plan = plan
        self._work = work
        self.rounds: dict[str, list[Round]] = defaultdict(list)
        self.failed: dict[str, str] = {}

    def run(self) -> None:
        """Run as many of the plan's rounds as its time allows, at least one."""
        deadline = time.monotonic() + self._plan.seconds
        rows = self._plan.rows
        for kind in dict.fromkeys(row.kind for row in rows):
            write_files(kind, max(row.count for row in rows if row.kind == kind), self._files(kind))
        for associations in dict.fromkeys(row.associations for row in rows):
            with ExitStack() as stack:
                running = self._start(associations, stack)
                self._run_rows([row for row in rows if row.associations == associations], running, deadline)

    def _start(self, associations: int, stack: ExitStack) -> dict[str, Running]:
        ours = [lapidicom()] if associations == 1 else [lapidicom(), lapidicom(listeners=2)]
        running = {}
        for contender in (*ours, storescp(bit_preserving=True), storescp(bit_preserving=False), pynetdicom()):
            if contender.missing:
                self.failed[contender.name] = contender.missing
                continue
            try:
                starting = Running(contender, self._work, associations)
                running[contender.name] = stack.enter_context(starting)
            except RunError as error:
                self.failed[contender.name] = str(error)
        return running

    def _run_rows(self, rows: Sequence[Row], running: dict[str, Running], deadline: float) -> None:
        """Run rounds of these rows. The first one warms up (memory, modules) and is not kept."""
        for number in range(self._plan.rounds + 1):
            began = time.monotonic()
            for row in rows:
                samples = self._round(row, list(running.values()), number, warm_up=number == 0)
                if number:
                    self.rounds[row.name].append(samples)
            for name in self.failed:
                running.pop(name, None)
            now = time.monotonic()
            kind = f"round {number}" if number else "warm-up"
            _progress(f"{', '.join(row.name for row in rows)}: {kind}, {now - began:.1f} s")
            if number and now + (now - began) > deadline:
                return

    def _round(self, row: Row, running: list[Running], number: int, *, warm_up: bool) -> Round:
        shift = number % max(1, len(running))
        samples: dict[str, Sample] = {}
        for one in running[shift:] + running[:shift]:
            name = one.contender.name
            count = row.slow_count if one.contender.slow else row.count
            if warm_up:
                count //= _WARM_UP_SHARE
            try:
                if name not in self.failed:
                    samples[name] = one.measure(self._files(row.kind), count, row.kind.file_size)
            except RunError as error:
                self.failed[name] = str(error)
        return samples

    def _files(self, kind: Kind) -> Path:
        return self._work / kind.name


def report(plan: Plan, bench: Bench, durability: str) -> list[Result]:
    """Print each row's table and the goals; return the comparisons."""
    results: list[Result] = []
    for row in plan.rows:
        rounds = bench.rounds[row.name]
        names = list(dict.fromkeys(name for samples in rounds for name in samples))
        names.sort(key=lambda name: (not name.startswith(OURS), name))
        print(f"\nreceive {row.name}: {len(rounds)} rounds, {durability}")
        print("\n".join(table(rounds, names, OURS)))
        peers = [name for name in names if not name.startswith(OURS)]
        for ours in (name for name in names if name.startswith(OURS)):
            measured = f"receive {row.name}" + ours.removeprefix(OURS)
            results += comparisons(measured, rounds, ours, peers, durability)
    print()
    for goal in GOALS:
        ratio = rate_ratio(bench.rounds[goal.row], OURS, goal.peer)
        reached = (
            f"{ratio.show(2)}: {'met' if ratio.median >= goal.ratio else 'missed'}" if ratio else "no figure"
        )
        print(f"goal: receive {goal.row} >= {goal.ratio:g} x {goal.peer}: {reached}")
    for name, reason in bench.failed.items():
        print(f"\n{name} FAILED: {reason}")
    return results


def main() -> int:
    """Run the benchmark; the exit status is 0 unless a contender could not run."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    plan = QUICK if os.environ.get("QUICK", "") not in ("", "0") else FULL
    RESULTS.unlink(missing_ok=True)
    try:
        with folder_in_memory() as work:
            file_system = file_system_of(work)
            durability = f"no syncs (CHRIS_FSYNC=no; journal records appended), {file_system}"
            _say_where(file_system)
            bench = Bench(plan, work)
            bench.run()
            write(report(plan, bench, durability), RESULTS)
    except KeyboardInterrupt:
        print("\ninterrupted: everything that was started is stopped", file=sys.stderr)
        return 130
    return 1 if bench.failed else 0


def _say_where(file_system: str) -> None:
    print(f"{platform.platform()}, CPython {platform.python_version()}, {os.cpu_count()} CPUs")
    _say_load("before")
    print(f"files, spool and journal: {file_system}; sender and receiver share the machine")
    print(
        "lapidicom's relay has no broker here: AMQP_URL names a closed port; its journal is written as always"
    )


def _say_load(when: str) -> None:
    """Others on the machine make rates low and ratios rough: whoever reads the table must know."""
    load = os.getloadavg()[0]
    print(f"load {when}: {load:.1f}" + (" (busy with something else: ratios are rough)" if load > 1 else ""))


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _interrupt(*_: object) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a second one must not cut short the cleaning up
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
