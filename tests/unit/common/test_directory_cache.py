"""How long a directory may be shown as it was: told by the mount, and nothing at all for a local disk."""

from pathlib import Path

import pytest

from lapidicom.common.directory_cache import cache_seconds_of, directory_cache_seconds

LOCAL = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"


@pytest.mark.parametrize(
    ("mount", "seconds"),
    [
        ("30 22 0:40 / /data rw,relatime shared:2 - nfs4 server:/x rw,vers=4.2,hard,proto=tcp", 60),
        ("30 22 0:40 / /data rw - nfs server:/x rw,acregmin=1,acregmax=3,acdirmin=1,acdirmax=5", 5),
        ("30 22 0:40 / /data rw - nfs4 server:/x rw,noac", 0),
        ("30 22 0:40 / /data rw - cifs //server/x rw,actimeo=1", 1),
        ("30 22 0:40 / /data rw - smb3 //server/x rw,acregmax=1,acdirmax=30,actimeo=1", 30),
        ("30 22 0:40 / /data rw - ceph mon:/ rw", 60),
        ("30 22 0:40 / /data rw - fuse.sshfs host:/ rw", 60),
        ("30 22 8:2 / /data rw - fuseblk /dev/sdb1 rw", 0),
        ("30 22 8:2 / /data rw - xfs /dev/sdb1 rw", 0),
        ("30 22 0:40 / /database rw - nfs server:/x rw", 0),
        ("30 22 0:40 / /data\\040base rw - nfs server:/x rw", 0),
        ("30 22 0:40 / /data rw - nfs server:/x rw\n31 30 8:3 / /data/files rw - ext4 /dev/sdc1 rw", 0),
        ("30 22 8:3 / /data rw - ext4 /dev/sdc1 rw\n31 22 0:40 / /data rw - nfs server:/x rw", 60),
        ("garbage", 0),
    ],
)
def test_the_mount_that_holds_the_path_tells(mount: str, seconds: float) -> None:
    assert cache_seconds_of(f"{LOCAL}\n{mount}\n", "/data/files") == seconds


def test_a_mount_point_with_a_blank_is_found() -> None:
    mount = "30 22 0:40 / /my\\040data rw - nfs server:/x rw"
    assert cache_seconds_of(f"{LOCAL}\n{mount}\n", "/my data/files") == 60


def test_what_nobody_tells_is_taken_for_a_network() -> None:
    assert cache_seconds_of("", "/data") == 60


def test_this_process_can_look(tmp_path: Path) -> None:
    assert directory_cache_seconds(tmp_path) >= 0
