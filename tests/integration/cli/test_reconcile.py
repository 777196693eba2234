"""`lapidicom reconcile` against a real receiver, broker and registrar, and the stand-in CUBE."""

import io
import json
import os
import threading
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from lapidicom.cli.reconcile.message import RECONCILE, id_of_path
from lapidicom.common.journal.format import COMMITTED, CURSOR, FOLDERS, FORMAT
from lapidicom.common.messages import HEADER_ID, InstanceStored
from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_QUEUE
from tests.support.command import Ended, in_process, start
from tests.support.cutting_proxy import Cut, Way, proxy_of, through
from tests.support.instances import EXPLICIT, IMPLICIT, Instance, instance, leaks
from tests.support.journals import all_records, journal_folders, records_of
from tests.support.polling import eventually
from tests.support.query_scps import match, query_scp
from tests.support.queues import look, purge, take_all
from tests.support.whole_path import OBSERVER_QUEUE, WholePath

DEAD = instance(1)
GONE = [instance(1), instance(2), instance(3, series=2)]


class LosingPath(WholePath):
    """The whole path, whose work queue is purged now and then; a registrar only where a test starts one."""

    def receive(self, calling: str, *instances: Instance) -> list[str]:
        """Let the receiver store them, and wait until their messages are in the work queue, and noted."""
        before = look(self.amqp_url, OBSERVER_QUEUE).ready
        assert set(self.send(calling, *instances)) == {0}
        series = len({one.tags.SeriesInstanceUID for one in instances})
        published = before + len(instances) + series
        eventually(lambda: look(self.amqp_url, OBSERVER_QUEUE).ready == published, 20)
        eventually(self._is_relayed, what="the relay's cursor stands at the mark")
        return [one.path(calling) for one in instances]

    def _is_relayed(self) -> bool:
        return all(
            (life / CURSOR).exists() and (life / CURSOR).read_bytes() == (life / COMMITTED).read_bytes()
            for life in journal_folders(self.spool)
        )

    def place(self, calling: str, *instances: Instance) -> list[str]:
        """Put files on the volume of which no journal tells."""
        for one in instances:
            file = self.files_root / one.path(calling)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(one.file)
        return [one.path(calling) for one in instances]

    def lose_registrations(self) -> None:
        """What must never happen: somebody purges the work queue."""
        purge(self.amqp_url, WORK_QUEUE)

    def reconcile(self, calling: str, *options: str, **settings: str) -> Ended:
        given = ("--pacs", calling, "--older-than", "0s", "--rate", "1000/s", "--wait", "1", *options)
        return self.command("reconcile", *given, **settings)


@pytest.fixture(autouse=True)
def log() -> Iterator[list[MutableMapping[str, Any]]]:
    """The lines of the log, which only a process of its own writes to standard error."""
    with capture_logs() as lines:
        yield lines


@pytest.fixture(scope="module")
def losing(tmp_path_factory: pytest.TempPathFactory, amqp_url_of_module: str) -> Iterator[LosingPath]:
    with LosingPath(tmp_path_factory.mktemp("reconcile"), amqp_url_of_module) as losing, losing.receiver():
        registrar = losing.registrar()
        losing.cube.control.fail(400, '{"Modality":["no"]}', path_contains="SERVICES/PACS/DEAD/")
        losing.receive("DEAD", DEAD)
        gone = losing.receive("GONE", *GONE)
        eventually(lambda: look(losing.amqp_url, DEAD_LETTER_QUEUE).ready == 1, 30)
        losing.cube.control.heal()
        eventually(lambda: set(gone) <= losing.cube.control.paths(), 30)
        assert registrar.stop() == 0
        yield losing
        assert set(losing.cube.control.counts().values()) <= {1}


def test_registrations_lost_in_rabbitmq_are_enqueued_again_as_their_records_tell_them(
    losing: LosingPath,
) -> None:
    losing.receive("PURGED", *(instance(number, series=1 + number % 2) for number in range(1, 6)))
    losing.lose_registrations()
    told = losing.reconcile("PURGED", "--dry-run", "--json").document
    assert told["not_in_cube"]["lost"]["count"] == 5
    assert told["enqueued"] == 0
    assert look(losing.amqp_url, WORK_QUEUE).ready == 0

    ended = losing.command(
        "reconcile",
        "--yes",
        "--older-than",
        "0s",
        "--because",
        "purged",
        "--pacs",
        "PURGED",
    )
    assert ended.status == 0, ended.out + ended.err
    assert "enqueued 5 of 5 lost registrations" in ended.out
    assert leaks(ended.out + ended.err) == []

    messages = take_all(losing.amqp_url, WORK_QUEUE)
    records = records_of(losing.spool, "instance_received", "PURGED")
    lives = {folder.name.rpartition(".")[2] for folder in journal_folders(losing.spool)}
    ids = {f"{life}.{record.sequence}" for life in lives for record in all_records(losing.spool)}
    assert {message.headers[HEADER_ID] for message in messages} <= ids
    bodies = [InstanceStored.model_validate_json(message.body) for message in messages]
    assert sorted(bodies, key=lambda one: one.path) == sorted(
        (InstanceStored.model_validate(record) for record in records), key=lambda one: one.path
    )
    assert len({message.headers[RECONCILE] for message in messages}) == 1


def test_each_act_is_in_the_audit_with_its_reason_and_counts(losing: LosingPath, tmp_path: Path) -> None:
    losing.place("AUDITED", instance(1))
    log = tmp_path / "audit"
    done = losing.reconcile("AUDITED", "--yes", "--because", "night shift", LAPIDICOM_AUDIT_LOG=str(log))
    assert done.status == 0
    losing.lose_registrations()
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(entry["act"], entry["phase"], entry["reason"]) for entry in entries] == [
        ("reconcile", "begun", "night shift"),
        ("reconcile", "ended", "night shift"),
    ]
    assert [entry.get("enqueued") for entry in entries] == [None, 1]
    assert leaks(log.read_text()) == []


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_a_file_without_a_record_yields_the_message_that_the_receiver_would_have_sent(
    losing: LosingPath, syntax: str, tmp_path: Path
) -> None:
    calling = f"FILE_{syntax.replace('.', '')[-6:]}"
    [path] = losing.receive(calling, instance(1, series=7, transfer_syntax=syntax))
    [record] = records_of(losing.spool, "instance_received", calling)
    losing.lose_registrations()
    elsewhere = {"CHRIS_SPOOL_DIR": str(tmp_path)}
    assert losing.reconcile(calling, "--yes", **elsewhere).status == 2
    (tmp_path / FOLDERS[FORMAT]).mkdir(parents=True)
    ended = losing.reconcile(calling, "--yes", **elsewhere)
    assert ended.status == 0, ended.out + ended.err
    [message] = take_all(losing.amqp_url, WORK_QUEUE)
    assert message.headers[HEADER_ID] == id_of_path(path)
    made = InstanceStored.model_validate_json(message.body)
    sent = InstanceStored.model_validate(record)
    unknown = {"association_id": "unknown", "peer_address": "unknown", "receiver": "unknown"}
    assert made == sent.model_copy(update={**unknown, "received_at": made.received_at})
    assert abs((made.received_at - sent.received_at).total_seconds()) < 60


def test_what_may_wait_is_told_and_left_alone_unless_the_operator_insists(losing: LosingPath) -> None:
    losing.receive("WAITS", instance(1), instance(2))
    ended = losing.reconcile("WAITS", "--yes")
    assert ended.status == 1
    assert "on the volume, not in CUBE: waiting" in ended.out
    assert look(losing.amqp_url, WORK_QUEUE).ready == 3
    insisted = losing.reconcile("WAITS", "--yes", "--even-if-waiting")
    assert insisted.status == 0
    assert look(losing.amqp_url, WORK_QUEUE).ready == 5
    losing.lose_registrations()


def test_a_dead_letter_is_told_with_its_id_and_not_enqueued(losing: LosingPath) -> None:
    told = losing.reconcile("DEAD", "--yes", "--json")
    assert told.status == 1
    dead = told.document["not_in_cube"]["dead letter"]
    assert dead["count"] == 1
    assert dead["files"][0]["why"].startswith("refused: Modality (")
    assert told.document["enqueued"] == 0
    assert leaks(told.out) == []
    take_all(losing.amqp_url, DEAD_LETTER_QUEUE)


def test_what_is_younger_than_asked_for_is_left_alone(losing: LosingPath) -> None:
    [old, young] = losing.place("YOUNG", instance(1), instance(2))
    os.utime(losing.files_root / old, (1_000_000_000, 1_000_000_000))
    ended = losing.reconcile("YOUNG", "--older-than", "5m", "--dry-run", "--json", "--show-phi")
    told = ended.document["not_in_cube"]
    assert [one["path"] for one in told["lost"]["files"]] == [old]
    assert [one["path"] for one in told["too young"]["files"]] == [young]
    since = losing.reconcile("YOUNG", "--since", "1h", "--dry-run", "--json").document
    assert since["files"] == since["not_in_cube"]["lost"]["count"] == 1


def test_what_is_no_instance_is_told_and_temporary_files_do_not_count(losing: LosingPath) -> None:
    [path] = losing.place("FOREIGN", instance(1, without=["PatientID"], PatientName="X"))
    (losing.files_root / path).with_name("rest.part").write_bytes(b"x")
    (losing.files_root / path).with_name("0009-1.2.3.dcm").write_bytes(b"no DICOM")
    told = losing.reconcile("FOREIGN", "--yes", "--json").document
    assert told["files"] == 2
    assert {one["why"] for one in told["not_in_cube"]["unreadable"]["files"]} == {
        "the file is no DICOM file (PS3.10)",
        "PatientID (0010,0020) is missing",
    }


def test_what_cube_and_journals_have_and_the_volume_has_not_is_told(losing: LosingPath) -> None:
    _, gone, other = (one.path("GONE") for one in GONE)
    (losing.files_root / gone).unlink()
    (losing.files_root / other).unlink()
    (losing.files_root / other).parent.rmdir()
    ended = losing.reconcile("GONE", "--yes", "--json")
    assert ended.status == 1
    told = ended.document
    assert (told["files"], told["registered"]) == (1, 1)
    assert told["not_on_volume"]["unnamed"] == 1
    assert told["in_journal_without_file"]["count"] == 2
    assert leaks(ended.out) == []


def test_a_run_goes_on_where_another_one_was(losing: LosingPath, tmp_path: Path) -> None:
    paths = losing.place("RESUMED", *(instance(1, series=number) for number in (1, 2, 3)))
    folders = sorted(path.rpartition("/")[0] for path in paths)
    state = tmp_path / "state.json"
    scope = {"root": str(losing.files_root), "cube": losing.cube.url, "pacs": "RESUMED"}
    state.write_text(json.dumps({"scope": scope, "after": folders[1]}))
    told = losing.reconcile("RESUMED", "--yes", "--json", "--state", str(state)).document
    assert (told["folders"], told["enqueued"]) == (1, 1)
    assert not state.exists()
    state.write_text(json.dumps({"scope": {**scope, "pacs": "OTHER"}, "after": folders[1]}))
    refused = losing.reconcile("RESUMED", "--yes", "--state", str(state))
    assert refused.status == 2
    assert "is of a run with other options" in refused.err
    losing.lose_registrations()


def test_a_misspelt_pacs_or_a_time_to_come_is_no_success(losing: LosingPath) -> None:
    typo = losing.reconcile("RESUMD", "--yes")
    assert typo.status == 2
    assert "there is no folder RESUMD below SERVICES/PACS" in typo.err
    future = losing.reconcile("GONE", "--yes", "--since", "2999-01-01")
    assert future.status == 2
    assert "lies in the future" in future.err


def test_yes_enqueues_no_more_than_its_ceiling(losing: LosingPath) -> None:
    losing.place("CEILING", *(instance(number) for number in (1, 2, 3)))
    ended = losing.reconcile("CEILING", "--yes", "--at-most", "2", "--json")
    assert (ended.status, ended.document["enqueued"]) == (1, 0)
    assert "3 registrations are lost" in ended.err
    assert "CUBE has 0 of the 3 instances looked at so far: if this is the right CUBE" in ended.err
    assert look(losing.amqp_url, WORK_QUEUE).ready == 0
    assert losing.reconcile("CEILING", "--yes", "--at-most", "3").status == 0
    losing.lose_registrations()


@pytest.mark.parametrize("options", [(), ("--show-phi",), ("--json", "--show-phi")])
def test_a_name_that_is_not_utf_8_is_told_and_ends_nothing(
    losing: LosingPath, options: tuple[str, ...]
) -> None:
    folder = losing.files_root / "SERVICES/PACS/BYTES/p/s" / os.fsdecode(b"caf\xe9")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "1.dcm").touch()
    ended = losing.reconcile("BYTES", "--yes", *options)
    assert ended.status == 1, ended.err
    assert "its path is not UTF-8" in ended.out
    assert (r"caf\xe9" in ended.out.replace("\\\\", "\\")) == ("--show-phi" in options)


def test_without_an_answer_to_its_question_nothing_is_enqueued(losing: LosingPath) -> None:
    losing.place("ASKED", instance(1))
    ended = losing.command("reconcile", "--older-than", "0s")
    assert ended.status == 2
    assert "nobody can be asked here: give --yes, or --dry-run" in ended.err


class SilentTerminal(io.StringIO):
    """A terminal at which nobody types."""

    def __init__(self) -> None:
        super().__init__()
        self.left = threading.Event()

    def isatty(self) -> bool:
        return True

    def readline(self, _: int | None = None) -> str:
        self.left.wait()
        return ""


def test_a_question_that_nobody_answers_is_a_no_after_a_while(
    losing: LosingPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    losing.place("UNANSWERED", instance(1))
    terminal = SilentTerminal()
    monkeypatch.setattr("sys.stdin", terminal)
    monkeypatch.setattr("lapidicom.cli.shell.ANSWER_SECONDS", 0.05)
    try:
        ended = losing.reconcile("UNANSWERED", "--json")
    finally:
        terminal.left.set()
    assert (ended.status, ended.document["enqueued"]) == (1, 0)
    assert "CUBE has 0 of the 1 instances looked at so far. Enqueue 1 registrations? [y/N]" in ended.err


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("CHRIS_URL", "CUBE is not visible from here"),
        ("CHRIS_FILES_ROOT", "the volume is not visible from here"),
    ],
)
def test_what_it_cannot_see_it_says(losing: LosingPath, name: str, told: str) -> None:
    settings = {key: value for key, value in losing.command_settings.items() if key != name}
    ended = in_process("reconcile", "--dry-run", **settings)
    assert ended.status == 2
    assert told in ended.err


def test_killed_at_any_moment_and_begun_again_all_that_is_stored_is_registered_once(
    losing: LosingPath,
) -> None:
    instances = [instance(number, series=series) for series in range(1, 5) for number in range(1, 21)]
    placed = set(losing.place("KILLED", *instances))
    received = set(losing.receive("LOST", instance(1), instance(2)))
    losing.lose_registrations()
    paths = placed | received
    dead_before = look(losing.amqp_url, DEAD_LETTER_QUEUE).ready
    registrar = losing.registrar()
    options = ("--older-than", "0s", "--yes")
    for _ in range(2):
        before = len(placed & losing.cube.control.paths())
        # So many bytes are enough for a look at the dead letters, and not for all messages.
        with proxy_of(losing.amqp_url, [Cut(Way.SILENCE, 25_000)]) as proxy:
            settings = losing.command_settings | {"AMQP_URL": through(losing.amqp_url, proxy.port)}
            with start("reconcile", *options, "--pacs", "KILLED", **settings) as process:
                eventually(lambda proxy=proxy: proxy.happened, 60, what="silence amid the messages")
                assert process.poll() is None, process.communicate()
                process.kill()
            _until_registered(losing, placed, before + 1)
        eventually(lambda: look(losing.amqp_url, WORK_QUEUE).ready == 0, 30)
        assert len(placed & losing.cube.control.paths()) < len(placed)
    quick = ("--rate", "1000/s", "--wait", "1")
    last = losing.command("reconcile", *options, *quick, "--json")
    assert last.document["not_in_cube"]["waiting"]["count"] == 0
    _until_registered(losing, paths, len(paths))
    again = losing.reconcile("KILLED", "--yes")
    assert again.status == 0
    assert "nothing is missing" in again.lines
    assert "80 instances in 4 series folders, 80 of them in CUBE" in again.out
    assert registrar.stop() == 0
    counts = losing.cube.control.counts()
    assert {counts[one] for one in paths} == {1}
    assert look(losing.amqp_url, DEAD_LETTER_QUEUE).ready == dead_before


def _until_registered(losing: LosingPath, paths: set[str], count: int) -> None:
    eventually(lambda: len(paths & losing.cube.control.paths()) >= count, 60)


def test_a_series_of_which_the_pacs_has_more_than_came_is_listed_with_its_uids(losing: LosingPath) -> None:
    losing.place("SOURCE", *GONE)
    whole, short = (one.tags for one in (GONE[0], GONE[2]))
    rows = [match(str(whole.SeriesInstanceUID), 2), match(str(short.SeriesInstanceUID), 9)]
    with query_scp(lambda _: [*((0xFF00, row) for row in rows), (0, None)]) as port:
        address = {"CHRIS_PACS_ADDRESS": f"SOURCE=127.0.0.1:{port}"}
        document = losing.reconcile("SOURCE", "--dry-run", "--source", "--json", **address).document
        ended = losing.reconcile("SOURCE", "--dry-run", "--source", **address)
    assert document["incomplete"] == 1
    [series] = document["incomplete_series"]
    assert series == {
        "pacs_name": "SOURCE",
        "StudyInstanceUID": short.StudyInstanceUID,
        "SeriesInstanceUID": short.SeriesInstanceUID,
        "pacs": 9,
        "volume": 1,
        "cube": 0,
        "why": "",
    }
    assert not document["sound"]
    assert ended.status == 1
    assert "Series that never came whole" in ended.out
    assert leaks(ended.out + ended.err) == []


# pynetdicom leaves a socket that was never connected to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_pacs_that_cannot_be_asked_is_told(losing: LosingPath) -> None:
    ended = losing.reconcile("SOURCE", "--dry-run", "--source")
    assert ended.status == 2
    assert "set CHRIS_PACS_ADDRESS" in ended.err
    ended = losing.reconcile("SOURCE", "--dry-run", "--source", CHRIS_PACS_ADDRESS="SOURCE=127.0.0.1:1")
    assert ended.status == 1
    assert "series whose number the PACS did not tell: absent" in ended.out
