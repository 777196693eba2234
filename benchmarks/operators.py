"""How fast an operator sees and replays 10,000 dead letters (`make bench BENCH=operators`).

The command runs as an operator runs it, its output piped. Times of a list are those of the whole process.
A replay's rate is told twice: of the whole process, with its start and its first look, and from the audit
log's line before the act to the one after it. Memory is the most that was resident; the same with a tenth of
the letters shows what grows.

QUICK=1 takes one round.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from benchmarks.contenders import without_our_settings
from benchmarks.goals import verdict
from benchmarks.queue_watch import QueueWatch
from benchmarks.results import Result, Spread, write
from benchmarks.run import RunError
from benchmarks.surroundings import RESULTS, quick, run
from lapidicom.common.broker import Envelope
from lapidicom.common.topology import DEAD_LETTER_QUEUE
from tests.support.dead_letters import dead_letter
from tests.support.polling import eventually
from tests.support.queues import look
from tests.support.rabbitmq import open_broker

LETTERS: Final = 10_000
FEW: Final = 1_000
ROUNDS: Final = 3

LIST_SECONDS: Final = 5.0
REPLAY_RATE: Final = 1_000.0
FLAT_MEGABYTES: Final = 16.0
"""What ten times the letters may add where none is kept: buffers, ids, and what the allocator keeps."""

_MEGABYTE: Final = 1e6

_COMMAND: Final = """
import atexit, sys
from lapidicom.cli.__main__ import main
atexit.register(lambda: sys.stderr.write(open("/proc/self/status").read()))
main()
"""
"""The command, which tells its peak memory at its end. What wait4 tells counts the parent's before exec."""


@dataclass(frozen=True, slots=True)
class Took:
    """What one run of the command took.

    Attributes:
        seconds: of the whole process.
        megabytes: the most that was resident.
        out: its standard output.
        acts: the lines of its audit log, which is standard error.
    """

    seconds: float
    megabytes: float
    out: str
    acts: Sequence[str]


@dataclass
class Figures:
    """What was measured with so many dead letters, run by run."""

    listed: list[Took] = field(default_factory=list)
    grouped: list[Took] = field(default_factory=list)
    replayed: list[Took] = field(default_factory=list)
    replay_rates: list[float] = field(default_factory=list)


class Bench:
    """Takes the figures.

    Args:
        url: of a virtual host for us alone.
        watch: of its work queue.
    """

    def __init__(self, url: str, watch: QueueWatch) -> None:
        self._url = url
        self._watch = watch

    def take(self, letters: int, figures: Figures) -> None:
        """One round: list, group, replay."""
        self._watch.purge()
        self._watch.publish(_letter(number) for number in range(1, letters + 1))
        eventually(lambda: look(self._url, DEAD_LETTER_QUEUE).ready == letters, 60, every=0.5)
        listed = self._run("dlq", "list", "--limit", "0")
        if len(listed.out.splitlines()) != letters + 1:
            raise RunError("a list does not show all")
        figures.listed.append(listed)
        figures.grouped.append(self._run("dlq", "list", "--group-by", "reason", "--json"))
        replayed = self._run("dlq", "replay", "--all", "--json")
        if json.loads(replayed.out)["sent"] != letters:
            raise RunError("a replay does not send all")
        figures.replayed.append(replayed)
        figures.replay_rates.append(letters / _between(*map(json.loads, replayed.acts)))

    def _run(self, *arguments: str) -> Took:
        settings = {"AMQP_URL": self._url, "LAPIDICOM_AUDIT_LOG": "stderr", "LAPIDICOM_OPERATOR": "benchmark"}
        environment = {**without_our_settings(), **settings, "LOG_FORMAT": "json"}
        begun = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        out, told = process.communicate()
        seconds = time.monotonic() - begun
        if process.returncode:
            raise RunError(f"lapidicom {' '.join(arguments)} ended with {process.returncode}: {told}")
        kibibytes = int(told.rpartition("VmHWM:")[2].split()[0])
        acts = [line for line in told.splitlines() if '"operator_act"' in line]
        return Took(seconds, kibibytes * 1024 / _MEGABYTE, out, acts)


def _letter(number: int) -> Envelope:
    reasons = ("file-missing", "refused: StudyDate", "refused: PatientAge", "http_500")
    return dead_letter(number, reasons[number % len(reasons)], SeriesInstanceUID=f"1.2.3.{number // 100}")


def _between(begun: Any, ended: Any) -> float:
    first, last = (datetime.fromisoformat(entry["timestamp"]) for entry in (begun, ended))
    return max(0.001, (last - first).total_seconds())


def _seconds(taken: Sequence[Took]) -> Spread:
    return Spread.of([one.seconds for one in taken])


def _megabytes(taken: Sequence[Took]) -> Spread:
    return Spread.of([one.megabytes for one in taken])


def report(many: Figures, few: Figures, durability: str) -> Iterator[Result]:
    """Print the table and the goals; yield what is kept."""
    print(f"\n{LETTERS} dead letters, {durability}\n")
    print(f"  {'':34}{'seconds':>22}{'MB resident':>20}{f'MB with {FEW}':>20}")
    rows = (
        ("dlq list", many.listed, few.listed),
        ("dlq list --group-by reason", many.grouped, few.grouped),
        ("dlq replay --all", many.replayed, few.replayed),
    )
    for name, taken, least in rows:
        memory, little = _megabytes(taken), _megabytes(least)
        print(f"  {name:34}{_seconds(taken).show(2):>22}{memory.show():>20}{little.show():>20}")
    whole = Spread.of([LETTERS / one.seconds for one in many.replayed])
    rate = Spread.of(many.replay_rates)
    print(f"  a replay, whole process: {whole.show()} messages/s\n")
    print(verdict("dlq list", _seconds(many.listed), at_most=LIST_SECONDS, unit=" s"))
    print(verdict("dlq replay", rate, at_least=REPLAY_RATE, unit=" /s", digits=0))
    yield _result("dlq list, 10,000", _seconds(many.listed).median, LIST_SECONDS, "s", durability)
    yield _result("dlq replay, 10,000", rate.median, REPLAY_RATE, "messages/s", durability)
    for name, taken, least in rows[1:]:
        more = _megabytes(taken).median - _megabytes(least).median
        what = f"{name}: memory, {LETTERS} over {FEW} letters"
        print(verdict(what, Spread.of([more]), at_most=FLAT_MEGABYTES, unit=" MB", digits=1))
        yield _result(what, more, FLAT_MEGABYTES, "MB", durability)


def _result(measure: str, found: float, goal: float, unit: str, durability: str) -> Result:
    return Result(measure, round(found, 2), goal, "goal", round(found / goal, 3), unit, durability)


def main() -> int:
    """Run the benchmark; the exit status is 0 unless a command failed."""
    many, few = Figures(), Figures()
    with open_broker(vhosts=1) as broker:
        url = broker.url(broker.fresh_vhost())
        with QueueWatch(url) as watch:
            bench = Bench(url, watch)
            try:
                for _ in range(1 if quick() else ROUNDS):
                    bench.take(FEW, few)
                    bench.take(LETTERS, many)
            except RunError as error:
                print(f"FAILED: {error}")
                return 1
        write(list(report(many, few, "quorum queues on one node")), RESULTS)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
