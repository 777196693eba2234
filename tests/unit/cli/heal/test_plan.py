"""The next step of a healing, by all that is seen; nothing is remembered."""

from dataclasses import replace

import pytest

from lapidicom.cli.heal.plan import WHOLE, Aim, Row, Seen, Step, Stop, condition, next_step

OURS = "SERVICES/PACS/P/patient/study/series"
THEIRS = "SERVICES/PACS/P/pseudonym/study/series"
AIM = Aim(OURS, OURS)
TWO = {"1.dcm": 1, "2.dcm": 2}
THREE = {**TWO, "3.dcm": 3}
ROW = Row(7, OURS, "inactive")
LATE = Seen(
    is_marked=False,
    has_waited=False,
    is_open=False,
    files=THREE,
    links={},
    elsewhere=None,
    row=ROW,
    known=2,
    registered=2,
)
HELD = replace(LATE, is_marked=True, has_waited=True)
PENDING = replace(HELD, links=THREE, row=replace(ROW, deletion="pending"))
DELETED = replace(HELD, links=THREE, files={}, row=None, known=0, registered=0)
AGAIN = replace(HELD, links=THREE, row=ROW, known=3, registered=3)
HALF = replace(HELD, row=None)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (LATE, Step.MARK),
        (replace(LATE, is_marked=True), Step.WAIT),
        (HELD, Step.LINK),
        (replace(HELD, links=TWO), Step.LINK),
        (replace(HELD, links=THREE), Step.DELETE),
        (replace(HELD, links=THREE, row=replace(ROW, deletion="failed")), Step.DELETE),
        (PENDING, Step.AWAIT_DELETION),
        (replace(PENDING, files={}), Step.AWAIT_DELETION),
        (replace(PENDING, links=TWO), Step.LINK),
        (replace(DELETED, has_waited=False), Step.WAIT),
        (DELETED, Step.LINK_BACK),
        (replace(DELETED, files=TWO), Step.LINK_BACK),
        (replace(DELETED, files=THREE), Step.REGISTER),
        (AGAIN, Step.REMOVE_LINKS),
        (replace(AGAIN, has_waited=False, links=TWO), Step.REMOVE_LINKS),
        (replace(AGAIN, links={}), Step.UNMARK),
        (replace(AGAIN, links={}, is_marked=False), Stop()),
        (HALF, Step.LINK),
        (replace(HALF, has_waited=False), Step.WAIT),
        (replace(HALF, links=THREE), Step.UNREGISTER),
        (replace(HALF, links=THREE, known=0), Step.REGISTER),
    ],
)
def test_each_state_has_its_step(seen: Seen, expected: Step | Stop) -> None:
    assert next_step(seen, AIM) == expected


def test_a_deletion_that_failed_halfway_is_mended_before_it_is_tried_again() -> None:
    failed = replace(HELD, links=THREE, files={"1.dcm": 1}, row=replace(ROW, deletion="failed"))
    assert next_step(failed, AIM) is Step.LINK_BACK


def test_links_stay_while_one_of_their_files_has_no_name() -> None:
    gone = replace(AGAIN, files=TWO, registered=2)
    assert next_step(gone, AIM) is Step.LINK_BACK


@pytest.mark.parametrize("seen", [LATE, replace(HELD, links=THREE), replace(HALF, links=THREE)])
def test_nothing_is_deleted_while_an_association_may_bring_instances(seen: Seen) -> None:
    stop = next_step(replace(seen, is_open=True), AIM)
    assert isinstance(stop, Stop)
    assert stop.may_undo


def test_what_is_deleted_is_registered_even_if_an_instance_is_about_to_come() -> None:
    assert next_step(replace(DELETED, is_open=True), AIM) is Step.LINK_BACK


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (replace(LATE, row=replace(ROW, deletion=None)), "older than 6.10"),
        (replace(LATE, row=replace(ROW, deletion="pending")), "somebody else"),
        (replace(LATE, row=replace(ROW, folder=THEIRS)), "another folder"),
        (replace(LATE, known=5, registered=5), "more files"),
        (replace(LATE, row=None, known=0), "does not know"),
        (replace(HALF, files={}), "no file"),
        (replace(HELD, links={"1.dcm": 9}), "no longer the same"),
        (replace(AGAIN, links={"1.dcm": 9}), "no longer the same"),
    ],
)
def test_what_cannot_be_healed_is_left_alone(seen: Seen, why: str) -> None:
    stop = next_step(seen, AIM)
    assert isinstance(stop, Stop)
    assert why in stop.why
    assert stop.remedy


def test_of_two_folders_the_files_of_the_one_that_cube_deletes_are_kept() -> None:
    aim = Aim(THEIRS, OURS)
    seen = replace(HELD, files=TWO, links=TWO, elsewhere=1, row=Row(7, THEIRS, "inactive"), registered=0)
    assert next_step(seen, aim) is Step.DELETE
    assert next_step(replace(seen, row=None, known=0, files={}), aim) is Step.LINK_BACK
    assert next_step(replace(seen, row=None, known=0), aim) is Step.REGISTER
    assert next_step(replace(seen, row=ROW, known=0, registered=1), aim) is Step.REMOVE_LINKS


def test_a_folder_that_has_no_links_is_never_deleted() -> None:
    seen = replace(HELD, files=TWO, links=TWO, elsewhere=3, row=ROW, known=0, registered=2)
    stop = next_step(seen, Aim(THEIRS, OURS))
    assert isinstance(stop, Stop)
    assert "another folder" in stop.why


@pytest.mark.parametrize(
    ("seen", "aim", "expected"),
    [
        (LATE, AIM, "late-instances"),
        (replace(LATE, registered=3), AIM, WHOLE),
        (replace(LATE, registered=4), AIM, "files-missing"),
        (replace(LATE, row=Row(7, THEIRS, "inactive")), Aim(THEIRS, OURS), "other-folder"),
        (replace(LATE, row=None), AIM, "half-registered"),
        (replace(LATE, row=None, known=0), AIM, "unknown to CUBE"),
        (replace(LATE, row=replace(ROW, deletion="pending")), AIM, "deletion-pending"),
        (HELD, AIM, "being healed"),
    ],
)
def test_what_is_wrong_is_said_as_dead_letters_say_it(seen: Seen, aim: Aim, expected: str) -> None:
    assert condition(seen, aim) == expected
