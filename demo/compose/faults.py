"""`make compose-faults`: kills each container in turn while the PACS sends; every instance must end in CUBE.

RABBITMQ names the images of RabbitMQ to run it with, one after the other. Each run is a project of its own,
with ports of its own, that is removed at the end.
"""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final

from demo.compose.books import Books
from demo.compose.neighbour import check_rights
from demo.compose.pacs import Pacs, PacsError
from demo.compose.project import Project, ProjectError
from demo.compose.study import Study, new_study
from tests.support.instances import Instance
from tests.support.polling import eventually
from tests.support.ports import free_port

IMAGES: Final = "rabbitmq:3-management rabbitmq:4-management"
PORTS: Final = ("RABBITMQ_UI_PORT", "RECEIVER_PORT", "CUBE_PORT", "ORTHANC_PORT", "ORTHANC_DICOM_PORT")
VICTIMS: Final = ("rabbitmq", "registrar", "cube", "receiver", "orthanc")
SERVED_WITHOUT: Final = ("rabbitmq", "registrar", "cube")
"""Without these the PACS is told success all the same."""
PROGRESS_SECONDS: Final = 180.0
SERIES_SIZE: Final = 5


def say(text: str) -> None:
    """Tell it at once, whatever stdout is."""
    print(text, flush=True)


class Sender:
    """A user of the PACS: one small series after the other goes to Orthanc, and is sent until it is safe."""

    def __init__(self, pacs: Pacs, books: Books, study: Study, pause: float = 0.5) -> None:
        self._pause = pause  # seconds before a failed order is given again
        self._pacs = pacs
        self._books = books
        self._study = study
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sender")
        self.series = 0
        """Acknowledged ones."""
        self.failures = 0
        """Orders that did not end in success for all."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self) -> None:
        """End with the series that is under way, which is sent until it is safe."""
        self._stop.set()
        self._thread.join()

    @property
    def is_alive(self) -> bool:
        """Whether it still sends; it ends by itself only by a fault of its own."""
        return self._thread.is_alive()

    def _run(self) -> None:
        for number in count(1):
            if self._stop.is_set():
                return
            series = list(self._study.series(number, SERIES_SIZE))
            names = [self._insist(self._taking(one)) for one in series]
            self._insist(self._sending(series, names))
            self._books.acknowledged(series)
            self.series += 1

    def _taking(self, one: Instance) -> Callable[[], str]:
        return lambda: self._pacs.take(one.file)

    def _sending(self, series: list[Instance], names: Sequence[str]) -> Callable[[], str]:
        def send() -> str:
            self._books.begin(series)
            self._pacs.send(names)
            return "sent"

        return send

    def _insist(self, order: Callable[[], str]) -> str:
        """Give an order until it is carried out, as the users of a PACS do."""
        done = ""

        def carried_out() -> bool:
            nonlocal done
            try:
                done = order()
            except PacsError:
                self.failures += 1
                return False
            return True

        eventually(carried_out, PROGRESS_SECONDS, every=self._pause, what="the PACS carries out an order")
        return done


def storm(project: Project, sender: Sender) -> None:
    """Kill each container, let the PACS go on, start it again, wait until all are healthy."""
    for service in VICTIMS:
        _await_series(sender, 2)
        victims = project.containers(service)
        before = sender.series
        project.docker("kill", *victims)
        if service in SERVED_WITHOUT:
            _await_series(sender, 3)
        else:
            _await_failure(sender)
        served = sender.series - before
        project.docker("start", *victims)
        project.wait_until_healthy()
        _await_series(sender, 2)
        say(f"  {service}: killed, {served} series safe meanwhile, started, healthy, {sender.series} in all")


def _await_series(sender: Sender, more: int) -> None:
    goal = sender.series + more
    _await(lambda: sender.series >= goal, sender, f"{more} more series are safe")


def _await_failure(sender: Sender) -> None:
    failures = sender.failures
    _await(lambda: sender.failures > failures, sender, "an order fails")


def _await(condition: Callable[[], bool], sender: Sender, what: str) -> None:
    def holds() -> bool:
        if not sender.is_alive:
            raise ProjectError("the sender has ended")
        return condition()

    eventually(holds, PROGRESS_SECONDS, every=0.1, what=what)


def run(image: str) -> None:
    """One run with one RabbitMQ.

    Raises:
        AssertionError: something was lost, registered twice, or changed.
    """
    settings = {"RABBITMQ_IMAGE": image, **{name: str(free_port()) for name in PORTS}}
    project = Project("lapidicom-faults", settings)
    project.make_secrets()
    project.down()
    try:
        project.up()
        project.wait_until_healthy()
        version = project.compose("exec", "-T", "rabbitmq", "rabbitmqctl", "--quiet", "version").strip()
        say(f"{image} (RabbitMQ {version}), by {project.told_as}: all healthy")
        study = new_study()
        books = Books(project, study)
        sender = Sender(Pacs(project.port("orthanc", 8042)), books, study)
        sender.start()
        try:
            storm(project, sender)
        finally:
            sender.finish()
        books.wait_until_registered()
        report = books.report()
        say(f"  {report}; dead letters in the queue: {books.dead_letters()}")
        report.check()
        say(f"  {check_rights(project, next(iter(report.registered)))}")
    finally:
        project.down()


def main() -> int:
    """Run with every image; 0 if every instance ended registered."""
    try:
        for image in (os.environ.get("RABBITMQ") or IMAGES).split():
            run(image)
    except (ProjectError, PacsError, AssertionError) as error:
        print(f"compose-faults: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
