"""The synthetic study: every run has paths of its own, and no others have its patient's folder."""

from demo.compose.study import new_study
from tests.support.instances import Instance


def instances() -> tuple[str, list[Instance]]:
    study = new_study()
    return study.patient_folder, [one for number in (1, 2) for one in study.series(number, 3, size=64)]


def test_all_instances_of_all_runs_have_paths_of_their_own_in_their_patients_folder() -> None:
    (folder, ones), (_, others) = instances(), instances()
    paths = {one.path("ORTHANC") for one in ones}
    assert len(paths) == len({one.sop_instance for one in ones}) == 6
    assert all(folder in path for path in paths)
    assert not any(folder in one.path("ORTHANC") for one in others)
    assert all(one.can_be_filed for one in ones)
    assert all(len(one.sop_instance) <= 64 for one in ones)
