"""How fast instances are received, without syncs: lapidicom beside its peers (`make bench`).

Each contender serves on a port and in a folder of its own and is idle while others run. Rates are
medians; ratios are medians of the ratios within a round. The rows of the default storescu have that
program as their SCU, and as peer dcmtk's storescp with its defaults.

QUICK=1 leaves out the rows with four associations and ends within 50 seconds.
"""

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import default_scu, roof
from benchmarks.contenders import (
    Contender,
    lapidicom,
    orthanc,
    pynetdicom,
    sink,
    storescp,
    storescp_with_defaults,
)
from benchmarks.goals import Goal, goals, verdicts
from benchmarks.instances import LARGE, SMALL, Kind, write_files
from benchmarks.places import file_system_of, folder_in_memory
from benchmarks.results import Result, Sample, comparisons, table, write
from benchmarks.rounds import Plan, Rounds
from benchmarks.run import RunError, Running
from benchmarks.surroundings import RESULTS, quick, run

OURS: Final = "lapidicom"
_WARM_UP_SHARE: Final = 4


@dataclass(frozen=True, slots=True)
class Row:
    """What is sent in one run.

    Attributes:
        kind: of the instances.
        associations: at once, each with its share of the instances.
        count: instances in one run.
        slow_count: instances for contenders that are many times slower, so that a round stays short.
        default_scu: by dcmtk's storescu with its defaults.
    """

    kind: Kind
    associations: int
    count: int
    slow_count: int
    default_scu: bool = False

    @property
    def name(self) -> str:
        """As tables show it."""
        scu = ", default storescu" if self.default_scu else ""
        return f"receive {self.kind.name} x{self.associations}{scu}"


QUICK: Final[Plan[Row]] = Plan(
    (
        Row(LARGE, 1, 300, 40),
        Row(SMALL, 1, 3000, 100),
        Row(LARGE, 1, 200, 10, default_scu=True),
        Row(SMALL, 1, 500, 8, default_scu=True),
    ),
    rounds=5,
    seconds=34,
)
FULL: Final[Plan[Row]] = Plan(
    (
        Row(LARGE, 1, 1000, 100),
        Row(SMALL, 1, 12_000, 400),
        Row(LARGE, 1, 400, 24, default_scu=True),
        Row(SMALL, 1, 1000, 24, default_scu=True),
        Row(LARGE, 4, 1000, 200),
        Row(SMALL, 4, 12_000, 800),
    ),
    rounds=7,
    seconds=480,
)

_ROWS: Final = tuple(f"receive {row}" for row in ("512 KiB x1", "512 KiB x4", "20 KB x1", "20 KB x4"))
GOALS: Final[Sequence[Goal]] = (
    *goals(_ROWS, OURS, "pynetdicom", (7, 9, 17, 18)),
    *goals(_ROWS, OURS, "Orthanc", (5, 5, 5, 6)),
    *goals(_ROWS, OURS, "storescp", (1.15, 1.1, 1.25, 1.4)),
    *goals(_ROWS, OURS, "storescp +B", (0.95, 0.95, 0.9, 1.0)),
    *goals(_ROWS, OURS, "C sink (the roof)", (0.85, 0.85, 0.6, 0.4)),
    Goal("receive 512 KiB x1, default storescu", OURS, "storescp, its defaults", 40),
    Goal("receive 20 KB x1, default storescu", OURS, "storescp, its defaults", 200),
)


class Bench:
    """Runs the rounds and keeps what they gave.

    Args:
        plan: how much is measured.
        work: an empty folder; its file system is the one that is measured.
    """

    def __init__(self, plan: Plan[Row], work: Path) -> None:
        self._plan = plan
        self._work = work
        self._rows = {row.name: row for row in plan.rows}
        self.rounds = Rounds(plan.rounds)
        self.left_out: dict[str, str] = {}

    def run(self) -> None:
        """Run as many of the plan's rounds as its time allows, at least one."""
        rows = self._plan.rows
        for kind in dict.fromkeys(row.kind for row in rows):
            write_files(kind, max(row.count for row in rows if row.kind == kind), self._files(kind))
        everyone = self._everyone()
        deadline = time.monotonic() + self._plan.seconds
        groups = list(dict.fromkeys(row.associations for row in rows))
        for left, associations in zip(range(len(groups), 0, -1), groups, strict=True):
            now = time.monotonic()
            group = [row for row in rows if row.associations == associations]
            self._run_group(everyone, group, now + (deadline - now) / left)

    def _everyone(self) -> Sequence[Contender]:
        peers = [storescp(bit_preserving=True), storescp(bit_preserving=False), pynetdicom(), orthanc()]
        executable = roof.compiled(self._work)
        if executable is None:
            self.left_out["C sink (the roof)"] = "there is no C compiler (cc)"
        else:
            peers.append(sink(executable))
        return (lapidicom(), *peers, storescp_with_defaults())

    def _run_group(self, everyone: Sequence[Contender], rows: Sequence[Row], deadline: float) -> None:
        with ExitStack() as stack:
            runners = {}
            for contender in everyone:
                if not any(_takes_part(contender, row) for row in rows):
                    continue
                if contender.missing:
                    self.left_out[contender.name] = contender.missing
                    continue
                try:
                    running = stack.enter_context(Running(contender, self._work, rows[0].associations))
                except RunError as error:
                    self.rounds.failed[contender.name] = str(error)
                    continue
                runners[contender.name] = partial(self._sample, running)
            self.rounds.run([row.name for row in rows], runners, deadline)

    def _sample(self, running: Running, name: str, warm_up: bool) -> Sample | None:
        row, contender = self._rows[name], running.contender
        if not _takes_part(contender, row):
            return None
        count = row.slow_count if contender.slow else row.count
        if warm_up:
            count = max(2, count // _WARM_UP_SHARE)
        measure = default_scu.measure if row.default_scu else Running.measure
        return measure(running, self._files(row.kind), count, row.kind.file_size)

    def _files(self, kind: Kind) -> Path:
        return self._work / kind.name


def _takes_part(contender: Contender, row: Row) -> bool:
    if row.default_scu:
        return default_scu.missing() is None and contender.name in (OURS, storescp_with_defaults().name)
    return contender.name != storescp_with_defaults().name


def report(plan: Plan[Row], bench: Bench, durability: str) -> list[Result]:
    """Print each row's table and the goals; return the comparisons."""
    results: list[Result] = []
    for row in plan.rows:
        rounds = bench.rounds.of[row.name]
        names = list(dict.fromkeys(name for samples in rounds for name in samples))
        names.sort(key=lambda name: (name != OURS, name))
        print(f"\n{row.name}: {len(rounds)} rounds, {durability}")
        print("\n".join(table(rounds, names, OURS)))
        peers = [name for name in names if name != OURS]
        results += comparisons(row.name, rounds, OURS, peers, durability)
    print()
    print("\n".join(verdicts(GOALS, bench.rounds.of)))
    for name, reason in bench.left_out.items():
        print(f"\n{name} left out: {reason}")
    for name, reason in bench.rounds.failed.items():
        print(f"\n{name} FAILED: {reason}")
    return results


def main() -> int:
    """Run the benchmark; the exit status is 0 unless a contender could not run."""
    plan = QUICK if quick() else FULL
    with folder_in_memory() as work:
        file_system = file_system_of(work)
        print(f"files, spool and journal: {file_system}; sender and receiver share the machine")
        print("lapidicom's relay has no broker here: AMQP_URL names a closed port; journals are written")
        bench = Bench(plan, work)
        bench.run()
        durability = f"no syncs (CHRIS_FSYNC=no; journal records appended), {file_system}"
        write(report(plan, bench, durability), RESULTS)
    return 1 if bench.rounds.failed or bench.left_out.keys() & {"storescp", "pynetdicom"} else 0


if __name__ == "__main__":
    sys.exit(run(main))
