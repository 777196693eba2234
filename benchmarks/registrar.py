"""How fast one registrar registers, as shipped (`make bench BENCH=registrar`).

The work queue is filled before the registrar starts; the rate is the server's: registrations per second
behind the first tenth, which warms up. Two servers, each a process of its own:

- a bare one that answers at once shows what the registrar costs, without traces and with all of them
  exported to a collector that takes everything;
- one that serves four at a time in 14 ms each and closes every connection, as CUBE v5 does, shows how
  much of CUBE's own rate is used. What it can give is measured by a bare client in the same round; the
  same client with basic authentication, which takes CUBE 384 ms, shows what the token saves.

QUICK=1 ends within 50 seconds.
"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.bare_cube import API
from benchmarks.contenders import without_our_settings
from benchmarks.goals import Goal, verdict, verdicts
from benchmarks.places import file_system_of
from benchmarks.processes import ProcessTree
from benchmarks.queue_watch import QueueWatch, poll
from benchmarks.results import Result, Sample, Spread, comparisons, samples, table, write
from benchmarks.rounds import Rounds, Runner
from benchmarks.run import RunError, free_port
from benchmarks.surroundings import RESULTS, quick, run
from lapidicom.common.broker import Envelope
from lapidicom.common.messages import InstanceStored
from lapidicom.common.topology import EXCHANGE
from tests.support.rabbitmq import open_broker

AT_ONCE: Final = "registrar, server answers at once"
BUSY: Final = "registrar, four at a time in 14 ms each"
FOUR: Final = "N=4"
SIXTEEN: Final = "N=16"
FOUR_TRACED: Final = "N=4, traced"
SIXTEEN_TRACED: Final = "N=16, traced"
EIGHT: Final = "N=8"
CAN_GIVE: Final = "bare client: what it can give"
BASIC: Final = "bare client, basic: 384 ms"

_START_SECONDS: Final = 30.0
_RUN_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    messages: int
    busy_messages: int
    basic_requests: int
    rounds: int
    seconds: float


QUICK: Final = Plan(1500, 400, 16, rounds=5, seconds=32)
FULL: Final = Plan(4000, 1000, 40, rounds=7, seconds=240)

RATES: Final[Mapping[str, float]] = {FOUR: 700.0, FOUR_TRACED: 500.0}
"""The least registrations/s of one process against the server that answers at once."""

GOALS: Final[Sequence[Goal]] = (
    Goal(AT_ONCE, SIXTEEN, FOUR, 1.0),
    Goal(AT_ONCE, SIXTEEN_TRACED, FOUR_TRACED, 1.0),
    Goal(BUSY, EIGHT, CAN_GIVE, 0.95),
)


@dataclass(frozen=True, slots=True)
class Server:
    """A bare server that runs."""

    port: int

    def take_posts(self) -> list[float]:
        """When each registration since the last call was answered."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/_posts")
            times: list[float] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return times


@dataclass
class Posts:
    """Collects when registrations were answered."""

    server: Server
    times: list[float] = field(default_factory=list)

    def at_least(self, count: int) -> bool:
        """Whether so many were answered by now."""
        self.times += self.server.take_posts()
        return len(self.times) >= count

    def rate(self) -> float:
        """Registrations per second behind the first tenth."""
        first = len(self.times) // 10
        return (len(self.times) - 1 - first) / (self.times[-1] - self.times[first])


class Bench:
    """Runs the rounds.

    Args:
        plan: how much is measured.
        work: an empty folder.
        url: of a virtual host for us alone.
        watch: of its work queue.
    """

    def __init__(self, plan: Plan, work: Path, url: str, watch: QueueWatch) -> None:
        self._plan = plan
        self._work = work
        self._url = url
        self._watch = watch
        self.rounds = Rounds(plan.rounds)

    def run(self) -> None:
        """Run as many of the plan's rounds as its time allows, at least one."""
        with ExitStack() as stack:
            at_once = self._server(stack)
            busy = self._server(
                stack, "--workers", "4", "--seconds", "0.014", "--basic-seconds", "0.384", "--close"
            )
            collector = self._server(stack)
            traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}"}
            runners: dict[str, Runner] = {
                FOUR: partial(self._register, at_once, AT_ONCE, 4, {}),
                SIXTEEN: partial(self._register, at_once, AT_ONCE, 16, {}),
                FOUR_TRACED: partial(self._register, at_once, AT_ONCE, 4, traced),
                SIXTEEN_TRACED: partial(self._register, at_once, AT_ONCE, 16, traced),
                EIGHT: partial(self._register, busy, BUSY, 8, {}),
                CAN_GIVE: partial(self._bare, busy, (), self._plan.busy_messages),
                BASIC: partial(self._bare, busy, ("--basic",), self._plan.basic_requests),
            }
            self.rounds.run([AT_ONCE, BUSY], runners, time.monotonic() + self._plan.seconds)

    def _server(self, stack: ExitStack, *options: str) -> Server:
        server = Server(free_port())
        command = [sys.executable, "-m", "benchmarks.bare_cube", "--port", str(server.port), *options]
        log = self._work / f"server-{server.port}.log"
        stack.enter_context(ProcessTree(command, os.environ, log))

        def answers() -> bool:
            try:
                server.take_posts()
            except OSError:
                return False
            return True

        if poll(answers, _START_SECONDS) is None:
            raise RunError(f"the bare server does not answer: {log.read_text()[-1000:]}")
        return server

    def _register(
        self, server: Server, its_row: str, workers: int, settings: Mapping[str, str], row: str, warm_up: bool
    ) -> Sample | None:
        if row != its_row:
            return None
        count = self._plan.messages if row == AT_ONCE else self._plan.busy_messages
        if warm_up:
            count //= 10
        self._watch.purge()
        self._watch.publish(_messages(count))
        server.take_posts()
        posts = Posts(server)
        environment = {
            **without_our_settings(),
            "AMQP_URL": self._url,
            "CHRIS_URL": f"http://127.0.0.1:{server.port}{API}",
            "CHRIS_USERNAME": "chris",
            "CHRIS_PASSWORD": "chris1234",
            "CHRIS_FILES_ROOT": str(self._work),
            "CHRIS_PUSHER_THREADS": str(workers),
            "HEALTH_PORT": "0",
            "LOG_FORMAT": "json",
            **settings,
        }
        command = [str(Path(sys.executable).with_name("lapidicom-registrar"))]
        log = self._work / "registrar.log"
        log.unlink(missing_ok=True)
        with ProcessTree(command, environment, log) as tree:
            begun = poll(lambda: posts.at_least(max(1, count // 10)), _START_SECONDS)
            done, cpu = len(posts.times), tree.cpu_seconds()
            ended = begun and poll(lambda: posts.at_least(count), _RUN_SECONDS)
            cpu = tree.cpu_seconds() - cpu
        if settings and "tracing_started" not in log.read_text():
            raise RunError("tracing is not on")
        if ended is None:
            raise RunError(f"{len(posts.times)} of {count} registered: {log.read_text()[-1000:]}")
        return Sample(posts.rate(), cpu / max(1, count - done), 0)

    def _bare(
        self, server: Server, options: Sequence[str], requests: int, row: str, warm_up: bool
    ) -> Sample | None:
        if row != BUSY:
            return None
        count = max(8, requests // 10) if warm_up else requests
        server.take_posts()
        command = [sys.executable, "-m", "benchmarks.bare_client", "--port", str(server.port)]
        command += ["--connections", "8", "--requests", str(count), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_RUN_SECONDS)
        posts = Posts(server)
        if done.returncode or not posts.at_least(count):
            raise RunError(f"the bare client failed: {done.stderr[-500:]}")
        return Sample(posts.rate(), 0.0, 0)


def _messages(count: int) -> Iterator[Envelope]:
    """As a relay publishes them."""
    for number in range(count):
        message = InstanceStored(
            path=f"SERVICES/PACS/BENCH/SYN-0001-BENCH-19700101/CT-A1-20240131/00001-AXIAL-0/{number}.dcm",
            pacs_name="BENCH",
            SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
            SOPInstanceUID=f"2.25.4177093826.1.{number}",
            TransferSyntaxUID="1.2.840.10008.1.2.1",
            StudyInstanceUID="2.25.4177093826",
            SeriesInstanceUID="2.25.4177093826.1",
            PatientID="SYN-0001",
            PatientName="BENCH^SYNTHETIC",
            PatientBirthDate="19700101",
            PatientAge=19724,
            PatientSex="O",
            StudyDate="20240131",
            AccessionNumber="A1",
            Modality="CT",
            StudyDescription="CT THORAX ABD.",
            SeriesDescription="AXIAL",
            size=525_768,
            association_id="9f1c7e2a-54c5-4a0e-8a53-6d7f6a0f8a11",
            calling_ae_title="BENCH",
            called_ae_title="ChRIS",
            peer_address="127.0.0.1:40000",
            receiver="bench",
            received_at=datetime.now(UTC),
        )
        yield Envelope(
            EXCHANGE,
            message.ROUTING_KEY,
            message.TYPE,
            message.VERSION,
            f"bench.{number}",
            message.model_dump_json().encode(),
        )


def report(bench: Bench, durability: str) -> list[Result]:
    """Print both tables and the goals; return the comparisons."""
    results: list[Result] = []
    lines: list[str] = []
    for row, ours in ((AT_ONCE, FOUR), (BUSY, EIGHT)):
        rounds = bench.rounds.of[row]
        names = list(dict.fromkeys(name for samples in rounds for name in samples))
        names.sort(key=lambda name: (not name.startswith("N="), len(name), name))
        print(f"\n{row}: {len(rounds)} rounds, {durability}")
        print("\n".join(table(rounds, names, ours, "registrations/s")))
        peers = [name for name in names if name != ours]
        results += comparisons(f"{row}, {ours}", rounds, ours, peers, durability, "registrations/s")
    for name, least in RATES.items():
        if taken := samples(bench.rounds.of[AT_ONCE], name):
            spread = Spread.of([sample.rate for sample in taken])
            lines.append(verdict(f"{AT_ONCE}: {name}", spread, at_least=least, unit=" /s", digits=0))
            results.append(_against_goal(f"{AT_ONCE}, {name}, goal", spread, least, durability))
    print("  basic authentication is modelled: 384 ms against 14 ms were seen at CUBE v5")
    print()
    print("\n".join([*lines, *verdicts(GOALS, bench.rounds.of)]))
    for name, reason in bench.rounds.failed.items():
        print(f"\n{name} FAILED: {reason}")
    return results


def _against_goal(measure: str, found: Spread, goal: float, durability: str) -> Result:
    return Result(
        measure,
        round(found.median, 1),
        goal,
        "goal",
        round(found.median / goal, 3),
        "registrations/s",
        durability,
    )


def main() -> int:
    """Run the benchmark; the exit status is 0 unless a contender could not run."""
    plan = QUICK if quick() else FULL
    with tempfile.TemporaryDirectory(prefix="lapidicom-bench-") as folder, open_broker(vhosts=1) as broker:
        work, url = Path(folder), broker.url(broker.fresh_vhost())
        durability = f"quorum queue on one node, {file_system_of(work)}"
        print("registrar, server and RabbitMQ share the machine")
        with QueueWatch(url) as watch:
            bench = Bench(plan, work, url, watch)
            bench.run()
        write(report(bench, durability), RESULTS)
    return 1 if bench.rounds.failed else 0


if __name__ == "__main__":
    sys.exit(run(main))
