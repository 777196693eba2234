"""The demo's verdict: it finds each way in which an instance may be lost, changed or registered twice."""

from demo.verification import StoredFile, Verdict, verify
from demo.wire_tap import Exchange

PATH = "SERVICES/PACS/DEMO/p/s/00001-x-abcdef0/0001-1.2.3.dcm"


def _sent(digest: bytes = b"a", status: int = 0, uid: str = "1.2.3") -> Exchange:
    return Exchange(uid, digest, status, "")


def _counts(verdict: Verdict) -> tuple[int, int, int, int]:
    return verdict.sent, verdict.stored, verdict.registered, verdict.refused


def test_an_instance_that_is_stored_and_registered_once_is_proven() -> None:
    verdict = verify([_sent()], [StoredFile(PATH, b"a")], {PATH: 1})
    assert (_counts(verdict), verdict.problems) == ((1, 1, 1, 0), [])


def test_a_refused_instance_need_not_be_anywhere() -> None:
    verdict = verify([_sent(status=0xC000)], [], {})
    assert (_counts(verdict), verdict.problems) == ((1, 0, 0, 1), [])


def test_an_accepted_instance_that_is_not_on_disk_is_lost() -> None:
    verdict = verify([_sent()], [], {})
    assert verdict.problems == ["instance 1.2.3 was accepted and is not on disk"]
    assert _counts(verdict) == (1, 0, 0, 0)


def test_other_bytes_on_disk_are_found() -> None:
    verdict = verify([_sent()], [StoredFile(PATH, b"b")], {PATH: 1})
    assert verdict.problems == ["instance 1.2.3 was accepted and is on disk with other bytes"]


def test_a_second_registration_is_found() -> None:
    verdict = verify([_sent()], [StoredFile(PATH, b"a")], {PATH: 2})
    assert verdict.problems == ["instance 1.2.3 was registered 2 times"]
    assert verdict.registered == 0


def test_a_missing_registration_is_found() -> None:
    verdict = verify([_sent()], [StoredFile(PATH, b"a")], {})
    assert verdict.problems == [
        "instance 1.2.3 was registered 0 times",
        f"a file is on disk and not registered: {PATH}",
    ]


def test_the_last_version_of_an_instance_must_be_the_one_on_disk() -> None:
    versions = [_sent(b"a"), _sent(b"b")]
    good = verify(versions, [StoredFile(PATH, b"b")], {PATH: 1})
    assert (_counts(good), good.replaced, good.problems) == ((2, 2, 2, 0), 1, [])
    stale = verify(versions, [StoredFile(PATH, b"a")], {PATH: 1})
    assert stale.problems == ["instance 1.2.3 was accepted and is on disk with other bytes"]


def test_one_uid_in_two_folders_is_two_files() -> None:
    other = PATH.replace("/p/", "/q/")
    stored = [StoredFile(PATH, b"a"), StoredFile(other, b"b")]
    verdict = verify([_sent(b"a"), _sent(b"b")], stored, {PATH: 1, other: 1})
    assert (_counts(verdict), verdict.replaced, verdict.problems) == ((2, 2, 2, 0), 0, [])


def test_files_of_an_earlier_run_need_no_registration() -> None:
    assert verify([], [StoredFile(PATH, b"a")], {}, frozenset({PATH})).problems == []


def test_a_registration_without_a_file_is_found() -> None:
    assert verify([], [], {PATH: 1}).problems == [f"a path is registered and not on disk: {PATH}"]
