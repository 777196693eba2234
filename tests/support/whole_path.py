"""The whole path from an SCU's socket to CUBE, with real processes, and the report on what came of it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from aio_pika.abc import AbstractIncomingMessage

from lapidicom.common.instance.part10 import read_file_meta
from lapidicom.common.instance.path import pacs_name
from lapidicom.common.messages import InstanceStored, SeriesReceived, SeriesSettling
from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_QUEUE, delay_queue, topology
from tests.support.command import Ended, in_process
from tests.support.cube.process import CubeProcess
from tests.support.faults import Fault
from tests.support.instances import Instance
from tests.support.ledger import Report
from tests.support.polling import eventually
from tests.support.queues import bind, look, take_all
from tests.support.receiver import Receiver
from tests.support.registrar.__main__ import Options
from tests.support.registrar.process import RegistrarProcess
from tests.support.resending_scu import ResendingSCU
from tests.support.scus import pynetdicom_store

OBSERVER_QUEUE = "test.observer"
"""Gets a copy of each message that receivers publish."""


class WholePath:
    """A stand-in CUBE over a storage root, a virtual host of RabbitMQ, and as many services as a test wants.

    Used as a context it has a CUBE and no services yet; at the end all that it started is ended.

    Attributes:
        cube: the stand-in.
        receivers: to which SCUs send.
        registrars: all that were started.
        dead_letters: all that were taken out of the dead-letter queue.

    Args:
        folder: for the storage root, logs and states.
        amqp_url: a virtual host of its own.
        files_root: CUBE's storage root, if it is to be elsewhere.
        unique: whether CUBE refuses what it has registered; if not, what comes twice is a duplicate.
        generation: of CUBE.
        space: of progress files.
    """

    def __init__(
        self,
        folder: Path,
        amqp_url: str,
        files_root: Path | None = None,
        *,
        unique: bool = True,
        generation: int = 5,
        space: str = "no",
    ) -> None:
        self._generation = generation
        self._space = space
        self.amqp_url = amqp_url
        self.files_root = files_root or folder / "files"
        self.spool = self.files_root / ".lapidicom"
        self.receivers: list[Receiver] = []
        self.registrars: list[RegistrarProcess] = []
        self.dead_letters: list[AbstractIncomingMessage] = []
        self._folder = folder
        self._unique = unique
        self._stack = ExitStack()
        self._stored: dict[str, set[tuple[str, str]]] = {}
        self._ended: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        (self.files_root / "SERVICES/PACS").mkdir(parents=True, exist_ok=True)
        bind(self.amqp_url, topology([1], 1), OBSERVER_QUEUE, [InstanceStored, SeriesReceived])
        with ExitStack() as stack:
            self.cube = stack.enter_context(
                CubeProcess(self.files_root, unique=self._unique, generation=self._generation)
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def command_settings(self) -> dict[str, str]:
        """What the `lapidicom` command is given to see all of it."""
        return {
            "AMQP_URL": self.amqp_url,
            "CHRIS_URL": self.cube.url,
            "CHRIS_USERNAME": self.cube.username,
            "CHRIS_PASSWORD": self.cube.password,
            "CHRIS_FILES_ROOT": str(self.files_root),
            "CHRIS_RETRY_DELAYS": "1",
            "CHRIS_PARK_DELAY": "1",
        }

    # --- services ---

    @contextmanager
    def receiver(
        self,
        *,
        faults: Sequence[Fault] = (),
        amqp_url: str | None = None,
        ready: bool = True,
        **settings: object,
    ) -> Iterator[Receiver]:
        """A receiver of the storage root, from its start to the end of the block, when it is killed.

        Args:
            faults: what happens in its children, and when.
            amqp_url: another broker than the path's.
            ready: whether to wait until it is ready.
            settings: variables of its environment.
        """
        settings = {"CHRIS_PROGRESS_SPACE": self._space, **settings}
        receiver = Receiver(
            self._folder, amqp_url or self.amqp_url, files_root=self.files_root, faults=faults, **settings
        )
        with ExitStack() as stack:
            stack.push(receiver)
            receiver.start(ready=ready)
            self.receivers.append(receiver)
            stack.callback(self.receivers.remove, receiver)
            yield receiver

    def registrar(
        self, options: Options | None = None, *, ready: bool = True, **settings: str
    ) -> RegistrarProcess:
        """Start a registrar, with variables of its environment. Killed at the latest when the path ends."""
        log = self._folder / f"registrar-{len(self.registrars)}.log"
        registrar = RegistrarProcess(self.amqp_url, self.cube, log, options, **settings)
        self._stack.callback(registrar.kill)
        registrar.start()
        self.registrars.append(registrar)
        if ready:
            registrar.wait_until_ready()
        return registrar

    def start(self, faults: Sequence[Fault] = (), options: Options | None = None, **settings: str) -> None:
        """Start a receiver and a registrar, ready; the settings go to both."""
        self._stack.enter_context(self.receiver(faults=faults, ready=True, **settings))
        self.registrar(options, ready=True, **settings)

    def stop(self) -> None:
        """End all services by SIGTERM."""
        statuses = [receiver.stop() for receiver in self.receivers]
        statuses += [registrar.stop() for registrar in self.registrars]
        assert not any(statuses), statuses

    # --- senders and operators ---

    def send(self, calling: str, *instances: Instance) -> list[int]:
        """C-STORE by pynetdicom to the first receiver, in one association; returns the statuses."""
        return pynetdicom_store(self.receivers[0].scp_port, calling, instances, self._folder / "scu")

    def scu(self, calling: str, *, patience: float = 15.0, port: int | None = None) -> ResendingSCU:
        """An SCU that sends to the receivers of just then, or to a port; nobody else has its AE title."""

        def ports() -> list[int]:
            return [receiver.scp_port for receiver in self.receivers] if port is None else [port]

        return ResendingSCU(ports, calling, patience=patience)

    def command(self, *arguments: str, **settings: str) -> Ended:
        """Run the `lapidicom` command, which sees all of the path."""
        return in_process(*arguments, environ=self.command_settings | settings)

    # --- what came of it ---

    def until_registered(self, count: int, seconds: float = 30) -> None:
        """Wait until that many files are registered."""
        eventually(lambda: len(self.cube.control.paths()) == count, seconds, what="all registered")

    def log_text(self) -> str:
        """All that the services wrote to their logs."""
        registrars = (log.read_text() for log in sorted(self._folder.glob("registrar-*.log")))
        return "\n".join([*(receiver.log_text() for receiver in self.receivers), *registrars])

    def report(self, *scus: ResendingSCU, seconds: float = 40) -> Report:
        """Wait until everything acknowledged is registered or a dead letter, and the series are ended.

        What is not after that time stands in the report, which is printed.
        """

        # What is judged is what was seen at rest: a later look may show a message and not yet the next one.
        seen: list[Report] = []

        def is_done() -> bool:
            seen[:] = [report := self.report_now(*scus)]
            return not report.lost and not report.unended and self.is_at_rest()

        try:
            eventually(is_done, seconds, every=0.1)
        except AssertionError:
            print(f"not at rest after {seconds:g} s")
        [report] = seen
        if scus:
            print(f"{', '.join(scu.calling for scu in scus)}: {report}")
        return report

    def report_now(self, *scus: ResendingSCU) -> Report:
        """How things stand."""
        self._look_into_rabbitmq()
        counts, repeated = self._counts(), self.cube.control.repeated()
        ours = tuple(f"SERVICES/PACS/{pacs_name(scu.calling)}/" for scu in scus)
        attempted: dict[str, Instance] = {}
        acknowledged: set[str] = set()
        for scu in scus:
            attempted |= scu.ledger.instances
            acknowledged |= scu.ledger.acknowledged
        published = {path: series for path, series in self._stored.items() if path.startswith(ours)}
        dead = {path for letter in self.dead_letters for path in self._files_of(letter)}
        return Report(
            attempted=frozenset(attempted),
            acknowledged=frozenset(acknowledged),
            published=frozenset(published),
            registered={path: times for path, times in counts.items() if path.startswith(ours)},
            repeated=sum(times for path, times in repeated.items() if path.startswith(ours)),
            dead_lettered=frozenset(path for path in dead if path.startswith(ours)),
            differing=frozenset(path for path in acknowledged if not self._is_whole(path, attempted[path])),
            unended=frozenset().union(*published.values()) - self._ended,
            sent=sum(scu.ledger.sent for scu in scus),
            associations=sum(scu.ledger.associations for scu in scus),
        )

    def _counts(self) -> dict[str, int]:
        """How often each file was registered: with CUBE 6 as often as its series, if that is whole."""
        registrations, counts = self.cube.control.registrations(), self.cube.control.counts()
        if self._generation == 5:
            return counts
        found: dict[str, int] = {}
        for row in registrations:
            files = self._files_in(row["path"])
            if len(files) == row["ndicom"]:
                found |= dict.fromkeys(files, counts[row["path"]])
        return found

    def _files_in(self, folder: str) -> list[str]:
        return [f"{folder}/{file.name}" for file in (self.files_root / folder).glob("*.dcm")]

    def _files_of(self, letter: AbstractIncomingMessage) -> list[str]:
        """The files that a dead letter is about."""
        if letter.type == InstanceStored.TYPE:
            return [InstanceStored.model_validate_json(letter.body).path]
        if letter.type == SeriesSettling.TYPE:
            return self._files_in(SeriesSettling.model_validate_json(letter.body).folder)
        return []

    def is_at_rest(self) -> bool:
        """Whether no message waits."""
        return not any(look(self.amqp_url, queue).ready for queue in (WORK_QUEUE, delay_queue(1)))

    def _look_into_rabbitmq(self) -> None:
        for message in take_all(self.amqp_url, OBSERVER_QUEUE):
            if message.type == InstanceStored.TYPE:
                stored = InstanceStored.model_validate_json(message.body)
                series = (stored.association_id, stored.SeriesInstanceUID)
                self._stored.setdefault(stored.path, set()).add(series)
            else:
                ended = SeriesReceived.model_validate_json(message.body)
                self._ended.add((ended.association_id, ended.SeriesInstanceUID))
        if look(self.amqp_url, DEAD_LETTER_QUEUE).ready:
            self.dead_letters += take_all(self.amqp_url, DEAD_LETTER_QUEUE)

    def _is_whole(self, path: str, instance: Instance) -> bool:
        try:
            content = (self.files_root / path).read_bytes()
        except FileNotFoundError:
            return False
        return content[read_file_meta(content).data_set :] == instance.data_set
