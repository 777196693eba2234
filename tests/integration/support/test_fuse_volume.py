"""The volume that tests make slow, hanging or incomplete does what it is told, and nothing else."""

import errno
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fuse_volume import FuseVolume, fuse_volume
from tests.support.polling import eventually


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FuseVolume]:
    with fuse_volume(tmp_path_factory.mktemp("fuse")) as mounted:
        yield mounted


def _written(path: Path) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"bytes")
    return descriptor


def test_it_keeps_files_folders_and_links(volume: FuseVolume) -> None:
    folder = volume.root / "kept"
    folder.mkdir()
    os.close(_written(folder / "first"))
    os.link(folder / "first", folder / "second")
    (folder / "first").rename(folder / "third")
    assert {one.name: one.read_bytes() for one in folder.iterdir()} == {"second": b"bytes", "third": b"bytes"}
    assert (folder / "second").stat().st_nlink == 2


def test_a_call_fails_with_the_errno_that_was_set(volume: FuseVolume) -> None:
    os.close(_written(volume.root / "unlinked"))
    volume.failing("link", errno.EPERM)
    with pytest.raises(PermissionError):
        os.link(volume.root / "unlinked", volume.root / "linked")
    volume.failing("link", None)
    os.link(volume.root / "unlinked", volume.root / "linked")


def test_syncs_of_files_and_folders_are_counted_and_take_longer(volume: FuseVolume) -> None:
    descriptor = _written(volume.root / "slow")
    folder = os.open(volume.root, os.O_RDONLY | os.O_DIRECTORY)
    before = volume.calls("fsync")
    volume.sync_delay(0.05)
    begun = time.monotonic()
    os.fsync(descriptor)
    os.fdatasync(descriptor)
    os.fsync(folder)
    volume.sync_delay(0.0)
    assert time.monotonic() - begun >= 0.15
    assert volume.calls("fsync") == before + 3
    os.close(folder)
    os.close(descriptor)


def test_many_syncs_hang_at_once_while_other_calls_go_on(volume: FuseVolume) -> None:
    descriptors = [_written(volume.root / f"hanging-{number}") for number in range(32)]
    threads = [threading.Thread(target=os.fsync, args=(descriptor,)) for descriptor in descriptors]
    with volume.hanging("fsync"):
        for thread in threads:
            thread.start()
        eventually(lambda: volume.hung() == len(threads), what="all syncs hang")
        os.close(_written(volume.root / "meanwhile"))
        assert (volume.root / "meanwhile").read_bytes() == b"bytes"
    for thread in threads:
        thread.join()
    for descriptor in descriptors:
        os.close(descriptor)


def test_a_file_whose_name_has_gone_is_stale_as_on_nfs(volume: FuseVolume) -> None:
    descriptor = _written(volume.root / "stale")
    (volume.root / "stale").unlink()
    with pytest.raises(OSError, match="Stale") as raised:
        os.fstat(descriptor)
    assert raised.value.errno == errno.ESTALE
    os.close(descriptor)
