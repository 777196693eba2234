"""Healing series on the stand-in of CUBE 6: killed at each step, with instances arriving meanwhile."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from lapidicom.cli import cube as asking
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.heal.hold import Hold
from lapidicom.cli.heal.plan import Aim, Step, Stop
from lapidicom.cli.heal.run import HealingPatience
from lapidicom.common.file_system import FileSystem
from tests.support.command import Ended, in_process
from tests.support.cube.app import StandInCube
from tests.support.healing import PACS, URL, Killed, Perils, SeriesToHeal
from tests.support.instances import leaks

HEALED = Stop()
OTHER = {"PatientID": "PSEUDONYM"}

Make = Callable[[Path], SeriesToHeal]


def late(root: Path) -> SeriesToHeal:
    """Registered with two files, and one came later."""
    series = SeriesToHeal(root)
    for _ in range(2):
        assert series.arrive()
    assert series.register() == 201
    assert series.arrive()
    return series


def half(root: Path) -> SeriesToHeal:
    """CUBE was stopped when it had registered the files and not the series."""
    series = SeriesToHeal(root)
    for _ in range(2):
        assert series.arrive()
    series.cube.control("break-off")
    assert series.register() == 500
    return series


def elsewhere(root: Path) -> SeriesToHeal:
    """Registered from the folder of another identity."""
    series = SeriesToHeal(root)
    for _ in range(2):
        assert series.arrive(**OTHER)
    other = next(series.root.glob("SERVICES/PACS/*/PSEUDONYM*/*/*"))
    assert series.register(str(other.relative_to(series.root))) == 201
    assert series.arrive()
    return series


def is_healed(series: SeriesToHeal) -> None:
    files = len(list((series.root / series.folder).glob("*.dcm")))
    assert series.in_cube() == [(series.folder, files)]
    assert series.left_behind() == []
    series.nothing_is_lost()


@pytest.mark.parametrize("make", [late, half, elsewhere])
def test_a_series_that_is_healed_has_all_its_files_in_cube(make: Make, tmp_path: Path) -> None:
    series = make(tmp_path / "root")
    assert series.heal(folder=series.folder) == HEALED
    is_healed(series)
    assert series.heal(folder=series.folder) == HEALED


@pytest.mark.parametrize("make", [late, half, elsewhere])
def test_killed_at_any_step_it_goes_on_and_no_instance_is_ever_without_a_name(
    make: Make, tmp_path: Path
) -> None:
    for at in range(1000):
        series = make(tmp_path / str(at))
        perils, at_first = Perils(at), len(series.stored)

        def meanwhile(series: SeriesToHeal = series, at_first: int = at_first) -> None:
            series.nothing_is_lost()
            if len(series.stored) == at_first or series.is_marked:
                series.arrive()

        perils.before = meanwhile
        try:
            ended = series.heal(perils, series.folder)
        except Killed:
            series.nothing_is_lost()
            assert series.heal(folder=series.folder) == HEALED
            is_healed(series)
        else:
            assert ended == HEALED
            assert at > 20
            assert series.refused
            return


def test_an_association_that_is_under_way_is_not_disturbed(tmp_path: Path) -> None:
    series = late(tmp_path)
    marker = series.open()
    stop = series.heal()
    assert "association" in stop.why
    assert (series.told, series.left_behind()) == ([], [str(marker)])
    assert series.in_cube() == [(series.folder, 2)]
    marker.unlink()
    assert series.heal() == HEALED
    is_healed(series)


def test_an_association_that_begins_before_the_mark_is_seen_leaves_the_series_as_it_was(
    tmp_path: Path,
) -> None:
    series, markers = late(tmp_path), []
    perils = Perils()
    perils.before = lambda: markers or markers.append(series.open())
    assert "association" in series.heal(perils).why
    assert series.left_behind() == [str(markers[0])]
    assert series.in_cube() == [(series.folder, 2)]


def test_a_deletion_that_takes_long_is_waited_for_and_found_again(tmp_path: Path) -> None:
    series = late(tmp_path)
    series.cube.control("worker-stopped")
    with pytest.raises(OperatorError, match="has not deleted"):
        series.heal(patience=HealingPatience(cache=0, poll=0, most=0))
    assert not series.arrive()
    series.nothing_is_lost()
    series.cube.control("heal")
    assert series.heal() == HEALED
    is_healed(series)


def test_what_cube_does_not_begin_to_delete_is_asked_for_once(tmp_path: Path) -> None:
    series = late(tmp_path)
    series.cube.control("fail", status=503, method="DELETE", body="<html>")
    with pytest.raises(OperatorError, match="did not delete it \\(it answered 503\\)"):
        series.heal()
    series.cube.control("heal")
    assert series.heal() == HEALED
    is_healed(series)


def test_of_two_runs_one_heals(tmp_path: Path) -> None:
    series = late(tmp_path)
    with pytest.raises(Killed):
        series.heal(Perils(at=12))
    other = Hold(series.root, series.spool, PACS, series.uid)
    other.take()
    with pytest.raises(OperatorError) as refused:
        series.heal()
    assert refused.value.status is ExitStatus.BUSY
    other.let_go()
    assert series.heal() == HEALED
    is_healed(series)


def test_a_mark_that_was_not_written_to_its_end_is_written_anew(tmp_path: Path) -> None:
    series = late(tmp_path)
    hold = Hold(series.root, series.spool, PACS, series.uid)
    hold.mark(Aim(series.folder, series.folder))
    hold.let_go()
    (mark,) = [file for file in (series.spool / "healing").rglob("*") if file.is_file()]
    mark.write_bytes(mark.read_bytes()[:-9])
    assert hold.aim() is None
    assert not series.arrive()
    assert series.heal() == HEALED
    is_healed(series)


def test_files_that_may_not_be_linked_leave_the_series_as_it_was(tmp_path: Path) -> None:
    series = late(tmp_path)

    class Protected(FileSystem):
        def link(self, source: str, target: str) -> None:  # type: ignore[override]
            if "0001-" in source:
                raise PermissionError(1, "Operation not permitted")
            os.link(source, target)

    with pytest.raises(PermissionError):
        series.heal(file_system=Protected())
    assert (series.in_cube(), series.left_behind()) == ([(series.folder, 2)], [])
    assert series.heal() == HEALED
    is_healed(series)


@pytest.mark.parametrize("failing", ["flock", "pwrite"])
def test_a_mark_that_cannot_be_made_or_held_is_not_left_behind(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = late(tmp_path)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    disk = FileSystem()
    monkeypatch.setattr(fcntl if failing == "flock" else disk, failing, fail, raising=False)
    with pytest.raises(OSError, match="No space"):
        series.heal(file_system=disk)
    assert (series.in_cube(), series.left_behind()) == ([(series.folder, 2)], [])


def test_a_mark_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    series = late(tmp_path)
    hold = Hold(series.root, series.spool, PACS, series.uid)
    hold.mark(Aim(series.folder, series.folder))
    hold.let_go()
    (mark,) = [file for file in (series.spool / "healing").rglob("*") if file.is_file()]
    mark.write_text('{"kept": "a", "folder": "b", "copies": 2}\n')
    with pytest.raises(OperatorError, match="this version"):
        series.heal()
    assert series.left_behind() == [str(mark)]


def test_it_waits_for_caches_before_and_behind_the_deletion(tmp_path: Path) -> None:
    series = late(tmp_path)
    assert series.heal() == HEALED
    deletion = series.told.index(Step.DELETE)
    assert series.told[:deletion] == [Step.MARK, Step.WAIT, Step.LINK]
    assert series.told[deletion + 1 :][:3] == [Step.WAIT, Step.LINK_BACK, Step.REGISTER]


def test_names_are_durable_before_others_are_removed(tmp_path: Path) -> None:
    series, done = late(tmp_path), []

    class Watched(FileSystem):
        def fsync(self, descriptor: int) -> None:  # type: ignore[override]
            done.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink()}")

        def link(self, source: str, target: str) -> None:  # type: ignore[override]
            os.link(source, target)
            done.append(f"link {Path(target).parent}")

        def unlink(self, path: str) -> None:  # type: ignore[override]
            Path(path).unlink()
            done.append(f"unlink {Path(path).parent}")

    perils = Perils()
    perils.asked = lambda method: done.append(method)
    assert series.heal(perils, file_system=Watched()) == HEALED
    folder, links = f"{tmp_path}/{series.folder}", f"{series.spool}/healing-links/{PACS}/{series.uid}"
    marked = done.index(f"fsync {series.spool}/healing/{PACS}/{series.uid}")
    places = [
        marked,
        done.index(f"fsync {series.spool}/healing/{PACS}", marked),
        done.index(f"link {links}"),
        _last(done, f"link {links}"),
        done.index(f"fsync {links}"),
        done.index("DELETE"),
        done.index(f"link {folder}"),
        _last(done, f"link {folder}"),
        done.index("POST", done.index("DELETE")),
        done.index(f"fsync {folder}"),
        done.index(f"unlink {links}"),
        done.index(f"unlink {series.spool}/healing/{PACS}"),
    ]
    assert places == sorted(places)


def _last(done: list[str], what: str) -> int:
    return len(done) - 1 - done[::-1].index(what)


@pytest.mark.parametrize(
    ("cache", "known", "expected"), [(0.0, 2, 0.0), (60.0, 2, 120.0), (0.0, 0, 35.0), (60.0, 0, 120.0)]
)
def test_it_waits_for_caches_and_for_what_cube_may_be_at(
    cache: float, known: int, expected: float, tmp_path: Path
) -> None:
    series = late(tmp_path) if known else half(tmp_path)
    assert HealingPatience(cache).pause(series.look()) == expected


class Operator:
    """Who types commands about a series."""

    def __init__(self, series: SeriesToHeal, monkeypatch: pytest.MonkeyPatch) -> None:
        self._series = series
        self.serve(series.app, monkeypatch)

    def serve(self, app: StandInCube, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asking, "transport_to_cube", lambda _: httpx.ASGITransport(app))

    def __call__(self, *options: str, **settings: str) -> Ended:
        given = {
            "AMQP_URL": "amqp://nowhere",
            "CHRIS_URL": URL,
            "CHRIS_USERNAME": "chris",
            "CHRIS_PASSWORD": "chris1234",
            "CHRIS_FILES_ROOT": str(self._series.root),
        }
        return in_process("heal", self._series.uid, *options, **given, **settings)


def test_an_operator_looks_and_heals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series = late(tmp_path / "root")
    heal = Operator(series, monkeypatch)
    looked = heal()
    assert looked.status == 1
    assert looked.lines[0] == "late-instances: --fix registers it anew, with 3 files"
    assert (series.in_cube(), series.left_behind()) == ([(series.folder, 2)], [])
    assert "--yes" in heal("--fix").err
    audit = tmp_path / "audit"
    healed = heal("--fix", "--yes", "--json", "--because", "late", LAPIDICOM_AUDIT_LOG=str(audit))
    assert (healed.status, healed.document["condition"], healed.document["in_cube"]) == (0, "whole", 3)
    begun, ended = audit.read_text().splitlines()
    assert '"phase": "begun"' in begun
    assert '"phase": "ended", "condition": "whole", "files": 3, "in_cube": 3' in ended
    is_healed(series)
    again = heal()
    assert (again.status, again.lines[0]) == (0, "CUBE has the whole series")
    assert not leaks("".join([looked.out, healed.out, again.out, audit.read_text()]))
    assert series.folder in heal("--show-phi").out


def test_an_operator_is_told_what_cannot_be_healed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series = late(tmp_path)
    heal = Operator(series, monkeypatch)
    series.app.registrations.clear()
    unknown = heal("--fix", "--yes")
    assert (unknown.status, "CUBE knows nothing of series" in unknown.err) == (1, True)
    assert heal("--folder", "SERVICES/PACS").status == 2
    assert heal("--pacs", "../..").status == 2
    assert heal("--folder", f"{series.folder}x", "--fix", "--yes").status == 1
    heal.serve(StandInCube(tmp_path), monkeypatch)
    older = heal()
    assert (older.status, "registers single files" in older.err) == (2, True)


def test_an_instance_of_another_series_in_the_folder_registers_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = half(tmp_path)
    heal = Operator(series, monkeypatch)
    for file in (tmp_path / series.folder).iterdir():
        file.write_bytes(series.next_instance(SeriesInstanceUID="1.2.3").file)
    answered = heal("--fix", "--yes")
    assert (answered.status, "no file of the folder" in answered.err) == (2, True)
    assert series.left_behind() == []
