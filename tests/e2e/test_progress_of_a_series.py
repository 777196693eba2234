"""Progress of a series as oxidicom's own clients see it: by polling CUBE's search for progress files."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from lapidicom.common.progress import DEFAULT_SPACE
from lapidicom.common.topology import DEAD_LETTER_QUEUE
from tests.support.faults import Fault
from tests.support.instances import Instance, instance
from tests.support.polling import eventually
from tests.support.query_scps import match, query_scp
from tests.support.queues import look
from tests.support.whole_path import WholePath


class Client:
    """Polls as oxidicom's specification of these files tells clients to."""

    def __init__(self, path: WholePath, one: Instance) -> None:
        self._cube = path.cube
        self._series = one.tags.SeriesInstanceUID
        login = {"username": path.cube.username, "password": path.cube.password}
        asked = urllib.request.Request(
            f"{path.cube.url}auth-token/",
            json.dumps(login).encode(),
            {"Content-Type": "application/json", "Accept": "application/json"},
        )
        with urllib.request.urlopen(asked, timeout=10) as answer:
            self._token = json.load(answer)["token"]

    def search(self, pacs: str, **parameters: str) -> dict[str, Any]:
        query = urlencode({"pacs_identifier": pacs, "SeriesInstanceUID": self._series, **parameters})
        asked = urllib.request.Request(
            f"{self._cube.url}pacsfiles/search/?{query}",
            headers={"Accept": "application/json", "Authorization": f"Token {self._token}"},
        )
        with urllib.request.urlopen(asked, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def value(self, key: str) -> str:
        """What the newest progress file with this key says; empty if there is none."""
        rows = self.search(DEFAULT_SPACE, ProtocolName=key)["results"]
        return str(rows[0]["SeriesDescription"]) if rows else ""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, amqp_url_of_module: str) -> Iterator[WholePath]:
    with WholePath(tmp_path_factory.mktemp("progress"), amqp_url_of_module, space=DEFAULT_SPACE) as path:
        for _ in range(2):  # instances and the end of their series are in several hands
            path.registrar(CHRIS_HTTP_RETRIES="9")
        yield path


def test_a_client_sees_how_many_to_expect_and_that_no_more_will_come(path: WholePath) -> None:
    sent = [instance(number, series=1) for number in range(1, 31)]
    series = str(sent[0].tags.SeriesInstanceUID)
    with (
        query_scp(lambda _: [(0xFF00, match(series, 40)), (0, None)]) as port,
        path.receiver(CHRIS_PACS_ADDRESS=f"PROGRESS=127.0.0.1:{port}"),
    ):
        assert set(path.send("PROGRESS", *sent)) == {0}
        client = Client(path, sent[0])
        eventually(lambda: client.value("NumberOfSeriesRelatedInstances") == "40", 30)
        eventually(lambda: client.value("OxidicomAttemptedPushCount") == "30", 30)
        # It is the last file of the series: all instances are there at that moment.
        assert client.search("PROGRESS")["count"] == 30
    rows = [row for row in path.cube.control.registrations() if row["pacs_name"] == DEFAULT_SPACE]
    folder = sent[0].path("PROGRESS").rpartition("/")[0]
    [association] = {row["path"].split("/")[-2] for row in rows}
    assert {row["path"] for row in rows} == {
        f"SERVICES/PACS/{DEFAULT_SPACE}/{folder}/{association}/{name}"
        for name in ("NumberOfSeriesRelatedInstances=40", "OxidicomAttemptedPushCount=30")
    }
    paths = [row["path"] for row in path.cube.control.registrations()]
    behind = paths[paths.index(next(one for one in paths if "OxidicomAttemptedPushCount" in one)) :]
    assert not any(one.endswith(".dcm") for one in behind)
    assert {(row["PatientName"], row["Modality"]) for row in rows} == {("", "")}
    trace = path.command("trace", series, "--json", "--limit", "0")
    assert (trace.status, trace.document["counts"]) == (0, {"registered": 30})
    assert path.command("reconcile", "--dry-run", "--older-than", "0s").status == 0


def test_a_pacs_that_does_not_answer_is_unknown_and_delays_nothing(path: WholePath) -> None:
    sent = [instance(number, series=2) for number in range(1, 4)]
    with path.receiver(CHRIS_PACS_ADDRESS="SILENT=127.0.0.1:1"):
        assert set(path.send("SILENT", *sent)) == {0}
        client = Client(path, sent[0])
        eventually(lambda: client.value("OxidicomAttemptedPushCount") == "3", 30)
        eventually(lambda: client.value("NumberOfSeriesRelatedInstances") == "unknown", 30)


def test_a_relay_killed_between_file_and_message_loses_neither(path: WholePath) -> None:
    faults = [
        Fault("publish", "kill", role="relay", where="^SeriesStarted"),
        Fault("publish", "kill", role="relay", where="^SeriesReceived"),
        Fault("publish", "kill", role="relay", where="^SeriesReceived", nth=2, after=True),
    ]
    sent = [instance(number, series=3) for number in range(1, 6)]
    with path.receiver(faults=faults) as receiver:
        assert set(path.send("KILLED", *sent)) == {0}
        client = Client(path, sent[0])
        eventually(lambda: client.value("OxidicomAttemptedPushCount") == "5", 60)
        eventually(lambda: client.value("NumberOfSeriesRelatedInstances") == "unknown", 60)
        assert {line["number"] for line in receiver.events("fault_struck")} >= {0, 1}
        eventually(path.is_at_rest, 30)
    counts = path.cube.control.counts()
    ours = {file: count for file, count in counts.items() if "/KILLED/" in file}
    assert len(ours) == 5 + 2
    assert set(ours.values()) == {1}
    assert look(path.amqp_url, DEAD_LETTER_QUEUE).ready == 0


def test_a_listener_that_was_killed_is_told_with_what_it_had_brought(path: WholePath) -> None:
    sent = [instance(number, series=4) for number in range(1, 4)]
    committed = r"journals/.*\.log$"
    faults = [Fault("fdatasync", "kill", where=committed, nth=3, after=True)]
    with path.receiver(faults=faults):
        scu = path.scu("BROKEN")
        scu.start(sent, per_association=3)
        client = Client(path, sent[0])
        eventually(lambda: client.search("BROKEN")["count"] == 3, 60)

        def told() -> list[int]:
            """What each association has brought."""
            found = client.search(DEFAULT_SPACE, ProtocolName="OxidicomAttemptedPushCount")["results"]
            return [int(row["SeriesDescription"]) for row in found]

        eventually(lambda: len(told()) == 2 and sum(told()) >= 3, 60, what="both associations are told")
        eventually(path.is_at_rest, 30)
    assert look(path.amqp_url, DEAD_LETTER_QUEUE).ready == 0


def test_on_cube_6_the_pacs_answer_lets_a_series_be_registered_at_once(amqp_url: str, tmp_path: Path) -> None:
    sent = [instance(number, series=5) for number in range(1, 4)]
    series = str(sent[0].tags.SeriesInstanceUID)
    with (
        WholePath(tmp_path, amqp_url, generation=6, space=DEFAULT_SPACE) as path,
        query_scp(lambda _: [(0xFF00, match(series, 3)), (0, None)]) as port,
        path.receiver(CHRIS_PACS_ADDRESS=f"SIX=127.0.0.1:{port}"),
    ):
        registrar = path.registrar(SERIES_SETTLE_SECONDS="300")
        assert set(path.send("SIX", *sent)) == {0}
        [row] = eventually(path.cube.control.registrations, 40, what="registered before it could settle")
        assert (row["path"], row["ndicom"]) == (sent[0].path("SIX").rpartition("/")[0], 3)
        # Progress files are nothing to CUBE 6: their messages are acknowledged.
        eventually(lambda: registrar.events("series_started"), 20)
        assert look(path.amqp_url, DEAD_LETTER_QUEUE).ready == 0
