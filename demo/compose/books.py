"""What came of a run: what the PACS was told, beside what CUBE registered and what lies on the volume."""

import contextlib
import http.client
import json
from base64 import b64encode
from hashlib import sha256
from urllib.parse import quote, urlsplit

from demo.compose.pacs import CALLING_AET
from demo.compose.project import Project
from demo.compose.study import Study
from demo.verification import files_by_folder
from lapidicom.common.topology import DEAD_LETTER_QUEUE
from tests.support.cube.control import CubeControl
from tests.support.instances import Instance
from tests.support.ledger import SUCCESS, Ledger, Report
from tests.support.polling import eventually

REGISTERED_SECONDS = 420.0
"""The journal of a killed receiver is taken over after CHRIS_JOURNAL_TAKEOVER (120 s); then retries."""

_DIGESTS = """
import hashlib, pathlib, sys
for file in pathlib.Path('/data/SERVICES/PACS').rglob('*.dcm'):
    if sys.argv[1] in str(file):
        content = file.read_bytes()
        data_set = content[144 + int.from_bytes(content[140:144], 'little'):]
        print(hashlib.sha256(data_set).hexdigest(), file.relative_to('/data'))
"""


class Books:
    """The books of one study in one project.

    Attributes:
        ledger: what was sent and answered.
    """

    def __init__(self, project: Project, study: Study) -> None:
        self._project = project
        self._study = study
        self._cube = CubeControl(project.port("cube", 8000))
        self.ledger = Ledger()

    def begin(self, instances: list[Instance]) -> None:
        """A C-STORE of each may begin."""
        self.ledger.associated()
        for one in instances:
            self.ledger.begin(one.path(CALLING_AET), one)

    def acknowledged(self, instances: list[Instance]) -> None:
        """The PACS was told success for each."""
        for one in instances:
            self.ledger.answer(one.path(CALLING_AET), SUCCESS)

    def registered(self) -> dict[str, int]:
        """How often each path of the study was registered; with CUBE 6 as often as its whole series."""
        registrations, counts = self._cube.registrations(), self._cube.counts()
        sent = files_by_folder(self.ledger.acknowledged)
        of_series = {
            path: counts[row["path"]]
            for row in registrations
            if len(sent[row["path"]]) == row.get("ndicom")
            for path in sent[row["path"]]
        }
        return self._of_the_study(counts | of_series)

    def _of_the_study(self, counts: dict[str, int]) -> dict[str, int]:
        folder = self._study.patient_folder
        return {path: count for path, count in counts.items() if folder in path and path.endswith(".dcm")}

    def wait_until_registered(self) -> None:
        """Wait until CUBE has all that was acknowledged; what it has not then stands in the report."""

        def all_there() -> bool:
            return self.ledger.acknowledged <= self.registered().keys()

        with contextlib.suppress(AssertionError):
            eventually(all_there, REGISTERED_SECONDS, every=0.5)

    def dead_letters(self) -> int:
        """How many are in the dead-letter queue, with those that somebody looks at."""
        url = urlsplit(self._project.amqp_url())
        login = b64encode(f"{url.username}:{url.password}".encode()).decode()
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._project.port("rabbitmq", 15672), timeout=30
        )
        try:
            path = f"/api/queues/{quote(url.path[1:], safe='')}/{DEAD_LETTER_QUEUE}"
            connection.request("GET", path, headers={"Authorization": f"Basic {login}"})
            return int(json.loads(connection.getresponse().read()).get("messages", 0))
        finally:
            connection.close()

    def report(self) -> Report:
        """Attempted, acknowledged, registered, lost; and whether each file has the bytes that were sent."""
        on_disk = self._digests()
        differing = {
            path
            for path in self.ledger.acknowledged
            if on_disk.get(path) != sha256(self.ledger.instances[path].data_set).hexdigest()
        }
        return Report(
            attempted=set(self.ledger.instances),
            acknowledged=frozenset(self.ledger.acknowledged),
            published=frozenset(),
            registered=self.registered(),
            repeated=sum(self._of_the_study(self._cube.repeated()).values()),
            dead_lettered=frozenset(),
            differing=frozenset(differing),
            unended=frozenset(),
            sent=self.ledger.sent,
            associations=self.ledger.associations,
        )

    def _digests(self) -> dict[str, str]:
        """SHA-256 of the data set of each file of the study, by path; as the registrar sees the volume."""
        text = self._project.compose(
            "exec", "-T", "registrar", "python", "-c", _DIGESTS, self._study.patient_folder
        )
        return {path: digest for digest, path in (line.split(" ", 1) for line in text.splitlines())}
