"""Each demand on a volume is tried out, and an unmet one is named with its remedy."""

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lapidicom.common.file_system import FileSystem
from lapidicom.common.volume import Demand, Finding, try_volume
from tests.support.requirements import not_allowed


class Lacking(FileSystem):
    """A file system on which one call fails."""

    def __init__(self, call: str, error: int) -> None:
        def fails(*_: Any, **__: Any) -> None:
            raise OSError(error, os.strerror(error))

        setattr(self, call, fails)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def findings(root: Path, fs: FileSystem, *, spool: Path | None = None, fsync: bool = True) -> list[Finding]:
    with opened(root) as files_root, opened(spool or root / ".lapidicom") as incoming:
        return try_volume(fs, spool=incoming, root=files_root, fsync=fsync)


def unmet(found: list[Finding]) -> dict[Demand, Finding]:
    return {one.demand: one for one in found if one.fault is not None}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".lapidicom").mkdir()
    (tmp_path / "SERVICES" / "PACS").mkdir(parents=True)
    return tmp_path


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_a_good_volume_meets_every_demand_and_is_left_as_it_was(root: Path) -> None:
    found = findings(root, FileSystem())
    assert [one.demand for one in found] == list(Demand)
    assert unmet(found) == {}
    assert files(root) == []


def test_a_volume_on_which_no_receiver_ever_was_is_tried_all_the_same(root: Path) -> None:
    (root / "SERVICES" / "PACS").rmdir()
    assert unmet(findings(root, FileSystem())) == {}
    (root / "SERVICES").rmdir()
    assert unmet(findings(root, FileSystem())) == {}
    assert files(root) == []


def test_without_syncs_none_is_demanded(root: Path) -> None:
    demands = {one.demand for one in findings(root, Lacking("fsync", errno.EINVAL), fsync=False)}
    assert demands == set(Demand) - {Demand.SYNC_FILES, Demand.SYNC_FOLDERS}


@pytest.mark.parametrize(
    ("call", "error", "demand", "fault", "remedy"),
    [
        ("write", errno.ENOSPC, Demand.WRITE, "no space, inodes or quota", "free or add space"),
        ("write", errno.EIO, Demand.WRITE, "the spool takes no files (Input/output error)", "read-write"),
        ("link", errno.EPERM, Demand.HARD_LINKS, "link() fails (Operation not permitted)", "not SMB"),
        ("link", errno.EOPNOTSUPP, Demand.HARD_LINKS, "the volume has no hard links", "not SMB"),
        ("rename", errno.EXDEV, Demand.ONE_FILE_SYSTEM, "though they are on one mount", "overlay"),
        ("fsync", errno.EINVAL, Demand.SYNC_FILES, "fsync of a file fails", "durable"),
    ],
)
def test_an_unmet_demand_is_named_with_what_failed_and_what_to_do(
    root: Path, call: str, error: int, demand: Demand, fault: str, remedy: str
) -> None:
    found = unmet(findings(root, Lacking(call, error)))[demand]
    assert fault in (found.fault or "")
    assert remedy in found.remedy
    assert found.errno == error
    assert str(root) not in f"{found.fault}{found.remedy}"
    assert files(root) == []


def test_a_folder_that_takes_no_files_is_named_and_nothing_else_is_tried(root: Path) -> None:
    class Unwritable(FileSystem):
        def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:  # type: ignore[override]
            if (
                flags & os.O_CREAT
                and dir_fd is not None
                and Path(f"/proc/self/fd/{dir_fd}").resolve().name == "PACS"
            ):
                raise PermissionError(errno.EACCES, "Permission denied")
            return os.open(path, flags, mode, dir_fd=dir_fd)

    (found,) = findings(root, Unwritable())
    assert found.demand is Demand.WRITE
    assert found.fault == "SERVICES/PACS takes no files (Permission denied)"
    assert files(root) == []


def test_fsync_of_folders_is_a_demand_of_its_own(root: Path) -> None:
    class NoFolders(FileSystem):
        def fsync(self, fd: int) -> None:  # type: ignore[override]
            if Path(f"/proc/self/fd/{fd}").resolve().is_dir():
                raise OSError(errno.EINVAL, "Invalid argument")

    assert unmet(findings(root, NoFolders())).keys() == {Demand.SYNC_FOLDERS}


@pytest.mark.parametrize(("call", "demand"), [("rename", Demand.ATOMIC_RENAME), ("link", Demand.HARD_LINKS)])
def test_a_call_that_claims_to_have_worked_is_found(root: Path, call: str, demand: Demand) -> None:
    fs = FileSystem()
    setattr(fs, call, lambda *_, **__: None)
    assert unmet(findings(root, fs)).keys() == {demand}


@contextlib.contextmanager
def mounted(at: Path) -> Iterator[None]:
    if os.geteuid() != 0:
        not_allowed("only root can mount a file system")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "tmpfs", str(at)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        not_allowed(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(at)], check=True)


@pytest.mark.parametrize(
    ("mount_at", "fault", "remedy"),
    [
        ("SERVICES/PACS", "SERVICES/PACS is another mount than SERVICES", "none below it"),
        ("SERVICES", "SERVICES is another mount than CHRIS_FILES_ROOT", "none below it"),
        (".lapidicom", "the spool is on another mount than CHRIS_FILES_ROOT", "unset CHRIS_SPOOL_DIR"),
    ],
)
def test_a_mount_in_between_is_named(root: Path, mount_at: str, fault: str, remedy: str) -> None:
    with mounted(root / mount_at):
        (root / "SERVICES" / "PACS").mkdir(exist_ok=True)
        found = unmet(findings(root, FileSystem()))
        assert found.keys() == {Demand.ONE_FILE_SYSTEM}
        assert (found[Demand.ONE_FILE_SYSTEM].fault or "").startswith(fault)
        assert remedy in found[Demand.ONE_FILE_SYSTEM].remedy
