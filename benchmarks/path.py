"""The whole path as shipped: every sync, the journal, RabbitMQ and relay running (`make bench BENCH=path`).

Beside it, in the same rounds: the bare loop of the same system calls, Orthanc as it is delivered (files
synced, its index in SQLite), the same receiver while RabbitMQ is stopped, and with a registrar and a stand-in
CUBE behind it.

BENCH_FOLDER names a folder on the file system to be measured; without it, .bench/ in the checkout.
QUICK=1 leaves out the rows with four associations and ends within 50 seconds.
"""

import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.contenders import AMQP_URL_OF_NOBODY, orthanc, receiver
from benchmarks.goals import Goal, goals, verdict, verdicts
from benchmarks.instances import LARGE, SMALL, Kind, series_of, write_files
from benchmarks.places import file_system_of
from benchmarks.processes import ProcessTree
from benchmarks.queue_watch import QueueWatch, poll
from benchmarks.results import Result, Sample, Spread, comparisons, samples, table, write
from benchmarks.rounds import Plan, Rounds, Runner
from benchmarks.run import RunError, Running, fault
from benchmarks.sender import shares
from benchmarks.surroundings import RESULTS, quick, run
from tests.support.broker import Broker
from tests.support.cube.process import CubeProcess
from tests.support.rabbitmq import open_broker

OURS: Final = "lapidicom"
STOPPED: Final = "lapidicom, RabbitMQ stopped"
REGISTERED: Final = "lapidicom, with registrar"
BARE: Final = "bare loop"
ORTHANC: Final = "Orthanc"

PUBLISHED_WITHIN: Final = 5.0
GIGABIT: Final = 118.0
"""MB/s: what a full gigabit link carries."""

_LAST_SECONDS: Final = 60.0
_SLOWER: Final = 4


@dataclass(frozen=True, slots=True)
class Row:
    """What is sent in one run.

    Attributes:
        kind: of the instances.
        associations: at once, each with its share of the instances.
        count: instances in one run.
        registered: whether the contender with a registrar runs in this row.
    """

    kind: Kind
    associations: int
    count: int
    registered: bool = False

    @property
    def name(self) -> str:
        """As tables show it."""
        return f"path {self.kind.name} x{self.associations}"


QUICK: Final[Plan[Row]] = Plan(
    (Row(LARGE, 1, 120), Row(LARGE, 16, 320), Row(SMALL, 1, 240), Row(SMALL, 16, 960)), rounds=5, seconds=24
)
FULL: Final[Plan[Row]] = Plan(
    (
        Row(LARGE, 1, 200, registered=True),
        Row(LARGE, 4, 400, registered=True),
        Row(LARGE, 16, 480),
        Row(SMALL, 1, 400, registered=True),
        Row(SMALL, 4, 1200, registered=True),
        Row(SMALL, 16, 2400),
    ),
    rounds=7,
    seconds=480,
)

_ROWS: Final = tuple(f"path {kind} x{count}" for kind in (LARGE.name, SMALL.name) for count in (1, 4, 16))
GOALS: Final[Sequence[Goal]] = (
    *goals(_ROWS, OURS, BARE, (0.8, 0.65, 0.55) * 2),
    *goals(_ROWS, STOPPED, OURS, (0.95,) * 6),
    *goals(_ROWS, OURS, ORTHANC, (3,) * 6),
)


class Bench:
    """Runs the rounds and keeps what they gave.

    Args:
        plan: how much is measured.
        work: an empty folder; its file system is the one that is measured.
        broker: running.
    """

    def __init__(self, plan: Plan[Row], work: Path, broker: Broker) -> None:
        self._plan = plan
        self._work = work
        self._broker = broker
        self._rows = {row.name: row for row in plan.rows}
        self._written = {
            kind: max(row.count for row in plan.rows if row.kind == kind) for kind in (LARGE, SMALL)
        }
        self.rounds = Rounds(plan.rounds)
        self.published: dict[str, list[float]] = defaultdict(list)
        self.registered: dict[str, list[float]] = defaultdict(list)

    def run(self) -> None:
        """Run as many of the plan's rounds as its time allows, at least one."""
        for kind, count in self._written.items():
            write_files(kind, count, self._files(kind))
        with ExitStack() as stack:
            runners: dict[str, Runner] = {
                OURS: self._as_shipped(stack),
                STOPPED: self._without_broker(stack),
                BARE: self._bare,
            }
            peer = orthanc()
            if peer.missing:
                print(f"{peer.name} left out: {peer.missing}")
            else:
                runners[ORTHANC] = partial(self._peer, stack.enter_context(Running(peer, self._work, 1)))
            if any(row.registered for row in self._plan.rows):
                runners[REGISTERED] = self._with_registrar(stack)
            rows = [row.name for row in self._plan.rows]
            self.rounds.run(rows, runners, time.monotonic() + self._plan.seconds)

    def _without_broker(self, stack: ExitStack) -> Runner:
        contender = receiver(STOPPED, {"AMQP_URL": AMQP_URL_OF_NOBODY})
        running = stack.enter_context(Running(contender, self._work, 1))
        return partial(self._run, running, lambda _row, _count, _ended: None)

    def _as_shipped(self, stack: ExitStack) -> Runner:
        url = self._broker.url(self._broker.fresh_vhost())
        watch = stack.enter_context(QueueWatch(url))
        running = stack.enter_context(Running(receiver(OURS, {"AMQP_URL": url}), self._work, 1))

        def published(row: Row, count: int, ended: float) -> str | None:
            at = watch.wait_for(count + self._about_series(row, count), _LAST_SECONDS)
            watch.purge()
            if at is None:
                return f"not all published within {_LAST_SECONDS:g} s"
            if count == row.count:  # else it only warmed up
                self.published[row.name].append(max(0.0, at - ended))
            return None

        return partial(self._run, running, published)

    def _with_registrar(self, stack: ExitStack) -> Runner:
        url = self._broker.url(self._broker.fresh_vhost())
        contender = receiver(REGISTERED, {"AMQP_URL": url})
        running = stack.enter_context(Running(contender, self._work, 1))
        cube = stack.enter_context(CubeProcess(running.stand.stored, connection_close=True, forked=False))
        environment = {
            **contender.environment(running.stand),
            "CHRIS_URL": cube.url,
            "CHRIS_USERNAME": cube.username,
            "CHRIS_PASSWORD": cube.password,
        }
        command = [str(Path(sys.executable).with_name("lapidicom-registrar"))]
        log = running.stand.folder / "registrar.log"
        stack.enter_context(ProcessTree(command, environment, log))

        def registered(row: Row, count: int, ended: float) -> str | None:
            at = poll(lambda: _instances(cube.control.paths()) >= count, _LAST_SECONDS)
            cube.control.forget()
            if at is None:
                return f"not all registered within {_LAST_SECONDS:g} s"
            if count == row.count:
                self.registered[row.name].append(max(0.0, at - ended))
            return None

        def runner(name: str, warm_up: bool) -> Sample | None:
            return self._run(running, registered, name, warm_up) if self._rows[name].registered else None

        return runner

    def _run(
        self,
        running: Running,
        follow: Callable[[Row, int, float], str | None],
        name: str,
        warm_up: bool,
    ) -> Sample:
        """Send, then follow what comes of it; only then the files are removed."""
        row = self._rows[name]
        count = _warm_up(row.count) if warm_up else row.count
        os.sync()  # what others left behind is not ours to write
        before = running.tree.cpu_seconds()
        sent = running.send(self._files(row.kind), count, row.associations)
        missing = follow(row, count, sent["ended"])
        cpu = running.tree.cpu_seconds() - before
        wrong = fault(sent, count, running.clear()) or missing
        return Sample(sent["instances_per_s"], cpu / count, row.kind.file_size, wrong)

    def _peer(self, running: Running, name: str, _warm_up: bool) -> Sample:
        """A peer that is some times slower is sent less, so that a round stays short."""
        row = self._rows[name]
        count = max(row.associations, row.count // _SLOWER)
        os.sync()
        return running.measure(self._files(row.kind), count, row.kind.file_size, row.associations)

    def _bare(self, name: str, warm_up: bool) -> Sample:
        row = self._rows[name]
        count = _warm_up(row.count) if warm_up else row.count
        with tempfile.TemporaryDirectory(dir=self._work) as target:
            command = [sys.executable, "-m", "benchmarks.bare_loop", "--target", target]
            command += ["--associations", str(row.associations), "--limit", str(count)]
            answer = Path(target) / "answer"
            os.sync()
            with ProcessTree([*command, str(self._files(row.kind))], os.environ, answer) as loop:
                loop.wait(_LAST_SECONDS * 5)
            text = answer.read_text()
        try:
            document: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise RunError(text[-2000:]) from error
        if document["failures"]:
            raise RunError("; ".join(document["failures"]))
        return Sample(document["instances_per_s"], document["cpu_seconds"] / count, row.kind.file_size, None)

    def _about_series(self, row: Row, count: int) -> int:
        """How many SeriesStarted and SeriesReceived come: one of each for each series of each association."""
        written = self._written[row.kind]
        return 2 * sum(
            len({series_of(index, written) for index in some}) for some in shares(count, row.associations)
        )

    def _files(self, kind: Kind) -> Path:
        return self._work / kind.name


def _instances(registered: Iterable[str]) -> int:
    """How many instances are registered, beside progress files."""
    return sum(path.endswith(".dcm") for path in registered)


def _warm_up(count: int) -> int:
    return max(32, count // 4)


def report(plan: Plan[Row], bench: Bench, file_system: str) -> list[Result]:
    """Print each row's table and the goals; return the comparisons."""
    durability = f"file, folder and journal synced before success, {file_system}"
    results: list[Result] = []
    lines: list[str] = []
    for row in plan.rows:
        name, rounds = row.name, bench.rounds.of[row.name]
        known = (OURS, STOPPED, REGISTERED, BARE, ORTHANC)
        names = [one for one in known if any(one in r for r in rounds)]
        print(f"\n{name}: {len(rounds)} rounds, {durability}")
        print("\n".join(table(rounds, names, OURS)))
        results += comparisons(name, rounds, OURS, [BARE, ORTHANC], durability)
        results += comparisons(f"{name}, RabbitMQ stopped", rounds, STOPPED, [OURS], durability)
        results += comparisons(f"{name}, with registrar", rounds, REGISTERED, [OURS, BARE], durability)
        if published := bench.published[name]:
            spread = Spread.of(published)
            print(f"  all published after the last success: {spread.show(2)} s")
            lines.append(verdict(f"{name}: all published", spread, at_most=PUBLISHED_WITHIN, unit=" s"))
            results.append(
                _bounded(f"{name}, all published after", spread, PUBLISHED_WITHIN, "s", durability)
            )
        if registered := bench.registered[name]:
            print(f"  all registered after the last success: {Spread.of(registered).show(2)} s (no goal)")
    link = f"path {LARGE.name} x1"
    if taken := samples(bench.rounds.of[link], OURS):
        spread = Spread.of([sample.rate * sample.size / 1e6 for sample in taken])
        lines.append(verdict(f"{link} on {file_system}", spread, at_least=GIGABIT, unit=" MB/s", digits=0))
        results.append(_bounded(f"{link}, a full gigabit link", spread, GIGABIT, "MB/s", durability))
    print()
    print("\n".join([*verdicts(GOALS, bench.rounds.of), *lines]))
    for name, reason in bench.rounds.failed.items():
        print(f"\n{name} FAILED: {reason}")
    return results


def _bounded(measure: str, found: Spread, bound: float, unit: str, durability: str) -> Result:
    return Result(
        measure, round(found.median, 3), bound, "goal", round(found.median / bound, 3), unit, durability
    )


def main() -> int:
    """Run the benchmark; the exit status is 0 unless a contender could not run."""
    plan = QUICK if quick() else FULL
    place = Path(os.environ.get("BENCH_FOLDER") or ".bench")
    place.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="path-", dir=place) as folder, open_broker(vhosts=5) as broker:
        work = Path(folder).resolve()
        file_system = file_system_of(work)
        print(f"files, spool and journal: {file_system}; sender, RabbitMQ and receiver share the machine")
        bench = Bench(plan, work, broker)
        bench.run()
        write(report(plan, bench, file_system), RESULTS)
    return 1 if bench.rounds.failed else 0


if __name__ == "__main__":
    sys.exit(run(main))
