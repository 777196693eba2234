"""`lapidicom trace` against a real receiver, broker and registrar, and the stand-in CUBE."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_QUEUE
from tests.support.command import Ended, in_process
from tests.support.instances import ROOT, instance, leaks
from tests.support.journals import all_records
from tests.support.polling import eventually
from tests.support.ports import free_port
from tests.support.query_scps import match, query_scp
from tests.support.queues import look
from tests.support.whole_path import OBSERVER_QUEUE, WholePath

CALLING = "TRACER"

REGISTERED = instance(1, series=1)
REFUSED_BY_US = instance(2, series=2, without=["PatientID"])
DEAD = instance(3, series=3)
WAITING = [instance(number, series=4) for number in (1, 2, 3)]
REFUSED_BY_CUBE = '{"StudyDate":["Date has wrong format."]}'


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, amqp_url_of_module: str) -> Iterator[WholePath]:
    """One run of the whole path, at which all tests of this module look."""
    with WholePath(tmp_path_factory.mktemp("trace"), amqp_url_of_module) as path, path.receiver():
        registrar = path.registrar()
        path.cube.control.fail(400, REFUSED_BY_CUBE, path_contains=DEAD.sop_instance)
        assert path.send(CALLING, REGISTERED, DEAD) == [0, 0]
        assert path.send(CALLING, REGISTERED, REFUSED_BY_US) == [0, 0xC000]
        eventually(lambda: look(path.amqp_url, DEAD_LETTER_QUEUE).ready == 1, 20)
        eventually(lambda: REGISTERED.path(CALLING) in path.cube.control.paths(), 20)
        # Three instances and three ends of series: none of them may be left for nobody.
        eventually(lambda: look(path.amqp_url, OBSERVER_QUEUE).ready == 6, 20)
        eventually(lambda: look(path.amqp_url, WORK_QUEUE).ready == 0, 20)
        assert registrar.stop() == 0
        assert path.send(CALLING, *WAITING) == [0, 0, 0]
        # The last SeriesReceived stands behind the three instances.
        eventually(lambda: look(path.amqp_url, WORK_QUEUE).ready == 4, 20)
        eventually(lambda: _trace(path, WAITING[0].sop_instance).status == 10, 20, every=0.3)
        yield path


def _trace(path: WholePath, uid: str, *options: str, without: tuple[str, ...] = ()) -> Ended:
    """Trace it, by a command that lacks the settings whose names begin like `without`."""
    if not without:
        return path.command("trace", uid, *options)
    settings = {name: value for name, value in path.command_settings.items() if not name.startswith(without)}
    return in_process("trace", uid, *options, **settings)


def test_a_registered_instance_is_told_with_both_receptions_and_cubes_link(traced: WholePath) -> None:
    ended = _trace(traced, REGISTERED.sop_instance)
    assert ended.status == 0, ended.out
    assert f"SOP Instance {REGISTERED.sop_instance} of PACS {CALLING}: registered" in ended.out
    assert f"{traced.cube.url}pacsfiles/" in ended.out
    rows = [line for line in ended.lines if "received" in line and CALLING in line]
    times = [line.split("Z")[0] for line in rows]
    assert len(rows) == 2
    assert times == sorted(times)
    assert all("relayed to RabbitMQ" in line for line in rows)


def test_patient_data_is_masked_unless_asked_for(traced: WholePath) -> None:
    for uid in (REGISTERED.sop_instance, f"{ROOT}.1", DEAD.sop_instance):
        for options in ((), ("--json",)):
            ended = _trace(traced, uid, *options)
            assert leaks(ended.out + ended.err) == []
    assert REGISTERED.path(CALLING) in _trace(traced, REGISTERED.sop_instance, "--show-phi").out


def test_a_refused_instance_is_told_with_status_reason_and_tag(traced: WholePath) -> None:
    ended = _trace(traced, REFUSED_BY_US.sop_instance)
    assert ended.status == 13
    assert "refused" in ended.out
    assert "PatientID (0010,0020) is missing  (0010,0020)" in ended.out
    assert "the SCU still has its copy" in ended.out


def test_a_dead_letter_is_told_with_its_reason_and_what_to_do(traced: WholePath) -> None:
    ended = _trace(traced, DEAD.sop_instance)
    assert ended.status == 12
    life = next(
        record
        for record in all_records(traced.spool)
        if record.kind == "instance_received" and record.fields()["SOPInstanceUID"] == DEAD.sop_instance
    )
    assert f".{life.sequence} " in ended.out
    assert "refused: StudyDate   400" in ended.out
    assert "lapidicom dlq show" in ended.out


def test_a_series_is_summed_up_and_listed_up_to_the_limit(traced: WholePath) -> None:
    ended = _trace(traced, f"{ROOT}.4", "--limit", "2")
    assert ended.status == 10
    assert f"Series {ROOT}.4: waiting" in ended.out
    assert ["waiting", "3"] in [line.split() for line in ended.lines]
    listed = [line for line in ended.lines if line.strip().startswith(f"{ROOT}.4.")]
    assert len(listed) == 2
    assert "1 more: --limit 0 shows all" in ended.out
    assert "4 messages are in the work queue, 0 are delayed" in ended.out
    [association] = [line for line in ended.lines if re.search(r" 3 +0$", line)]
    assert CALLING in association


def test_json_tells_the_same(traced: WholePath) -> None:
    ended = _trace(traced, f"{ROOT}.4", "--json", "--limit", "0")
    told = ended.document
    assert told["is"] == "SeriesInstanceUID"
    assert told["counts"] == {"waiting": 3}
    assert [one["SOPInstanceUID"] for one in told["instances"]] == [one.sop_instance for one in WAITING]
    assert {one["file_size"] for one in told["instances"]} == {one["size"] for one in told["instances"]}
    assert told["waiting"] == {"work": 4, "delayed": 0}
    assert told["not_visible"] == {}
    [event] = told["instances"][0]["events"]
    assert event["calling_ae_title"] == CALLING
    assert event["peer_address"].startswith("127.0.0.1:")
    assert event["receiver"] == "receiver-1"


def test_a_study_is_as_its_worst_instance_and_lists_its_series(traced: WholePath) -> None:
    ended = _trace(traced, f"{ROOT}.0", "--json")
    assert (ended.status, ended.document["state"]) == (12, "dead letter")
    assert ended.document["is"] == "StudyInstanceUID"
    series = {one["SeriesInstanceUID"]: (one["state"], one["instances"]) for one in ended.document["series"]}
    assert series == {
        f"{ROOT}.1": ("registered", 1),
        f"{ROOT}.3": ("dead letter", 1),
        f"{ROOT}.4": ("waiting", 3),
    }
    assert f"{ROOT}.4" in _trace(traced, f"{ROOT}.0").out


def test_an_accession_number_is_traced_where_patient_data_may_be_shown(
    traced: WholePath, tmp_path: Path
) -> None:
    number = REGISTERED.tags.AccessionNumber
    assert number is not None
    refused = _trace(traced, number)
    assert (refused.status, refused.out) == (2, "")
    assert "it needs --show-phi" in refused.err
    log = tmp_path / "audit"
    ended = traced.command("trace", number, "--show-phi", "--json", LAPIDICOM_AUDIT_LOG=str(log))
    assert ended.document["is"] == "AccessionNumber"
    assert len(ended.document["series"]) == 3
    assert '"what": "an accession number --show-phi"' in log.read_text()
    assert number not in log.read_text()


def test_what_nobody_knows_is_unknown_and_the_reach_of_the_journals_is_told(traced: WholePath) -> None:
    ended = _trace(traced, "1.2.3.4.5.6.7")
    assert ended.status == 1
    assert "1.2.3.4.5.6.7: unknown" in ended.out
    assert "The journals reach back to 20" in ended.out


def test_what_is_no_uid_is_refused(traced: WholePath) -> None:
    ended = _trace(traced, "KRNK-7731-ZX")
    assert (ended.status, ended.out) == (2, "")
    assert "this is no UID" in ended.err


def test_without_the_volume_cube_and_dead_letters_still_tell(traced: WholePath) -> None:
    registered = _trace(traced, REGISTERED.sop_instance, without=("CHRIS_FILES",))
    assert registered.status == 0
    assert "journals: not visible from here (set CHRIS_FILES_ROOT or CHRIS_SPOOL_DIR)" in registered.out
    assert _trace(traced, DEAD.sop_instance, without=("CHRIS_FILES",)).status == 12
    assert _trace(traced, f"{ROOT}.1", without=("CHRIS_FILES",)).status == 0


def test_without_cube_nobody_guesses_whether_it_is_registered(traced: WholePath) -> None:
    ended = _trace(traced, REGISTERED.sop_instance, without=("CHRIS_URL",))
    assert ended.status == 16
    assert "CUBE: not visible from here (set CHRIS_URL" in ended.out


def test_without_rabbitmq_the_rest_is_told(traced: WholePath) -> None:
    settings = traced.command_settings | {"AMQP_URL": "amqp://guest:guest@127.0.0.1:1/"}
    ended = in_process("trace", REGISTERED.sop_instance, **settings)
    assert ended.status == 0
    assert "dead letters: not visible from here" in ended.out


def test_a_registered_file_that_is_gone_is_told_as_such(traced: WholePath) -> None:
    file = traced.files_root / REGISTERED.path(CALLING)
    content = file.read_bytes()
    file.unlink()
    try:
        ended = _trace(traced, REGISTERED.sop_instance)
        of_series = _trace(traced, f"{ROOT}.1")
    finally:
        file.write_bytes(content)
    assert ended.status == of_series.status == 0
    assert "registered, but CUBE does not find its file" in ended.out
    assert "There is no file on the volume." in ended.out
    assert "registered, but CUBE does not find its file" in of_series.out


def test_nothing_was_taken_from_any_queue(traced: WholePath) -> None:
    before = [look(traced.amqp_url, queue).ready for queue in (WORK_QUEUE, DEAD_LETTER_QUEUE)]
    ended = _trace(traced, f"{ROOT}.3", "--json")
    assert ended.document["state"] == "dead letter"
    assert ended.err == ""
    assert ended.status == 12
    assert before == [4, 1]
    assert [look(traced.amqp_url, queue).ready for queue in (WORK_QUEUE, DEAD_LETTER_QUEUE)] == before


def of_source(traced: WholePath, uid: str, port: int, *options: str) -> Ended:
    settings = traced.command_settings | {"CHRIS_PACS_ADDRESS": f"{CALLING}=127.0.0.1:{port}"}
    return in_process("trace", uid, *options, **settings)


def test_a_series_that_never_came_whole_is_incomplete(traced: WholePath) -> None:
    series, study = f"{ROOT}.1", f"{ROOT}.0"
    with query_scp(lambda _: [(0xFF00, match(series, 5)), (0xFF00, match("1.2.9", 7)), (0, None)]) as port:
        ended = of_source(traced, series, port)
        document = of_source(traced, study, port, "--json").document
    assert ended.status == 17, ended.out + ended.err
    assert f"Series {series} is incomplete." in ended.out
    assert [CALLING, study, series, "5", "1", "1"] in [line.split() for line in ended.lines]
    counts = {one["SeriesInstanceUID"]: one for one in document["third_count"]}
    assert document["state"] == "dead letter"
    assert [counts["1.2.9"][key] for key in ("pacs", "volume", "cube")] == [7, 0, 0]
    assert [counts[f"{ROOT}.4"][key] for key in ("pacs", "volume", "cube", "why")] == [
        None,
        3,
        0,
        "PACS: no such series",
    ]


# pynetdicom leaves a socket that was never connected to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_series_that_came_whole_is_registered_and_a_pacs_that_is_absent_is_named(traced: WholePath) -> None:
    series = f"{ROOT}.1"
    with query_scp(lambda _: [(0xFF00, match(series, 1)), (0, None)]) as port:
        assert of_source(traced, series, port).status == 0
    ended = of_source(traced, series, free_port())
    assert ended.status == 0
    assert "PACS: absent" in ended.out
