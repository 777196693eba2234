from lapidicom.cli.masking import HARMLESS_FIELDS, masked_fields, masked_headers, masked_path
from lapidicom.common.messages import InstanceStored, SeriesReceived

PATIENT_DATA = {
    *("PatientID", "PatientName", "PatientBirthDate", "PatientAge", "PatientSex", "AccessionNumber"),
    *("StudyDate", "StudyDescription", "SeriesDescription", "ProtocolName"),
}


def test_every_field_of_a_message_is_harmless_or_masked() -> None:
    fields = {*InstanceStored.model_fields, *SeriesReceived.model_fields}
    assert fields == HARMLESS_FIELDS | PATIENT_DATA | {"path", "folder"}


def test_patient_data_is_masked_and_what_is_absent_stays_absent() -> None:
    fields = {"PatientID": "p", "PatientName": None, "Modality": "MR", "size": 3, "Unheard": "of"}
    assert masked_fields(fields) == {
        "PatientID": "***",
        "PatientName": None,
        "Modality": "MR",
        "size": 3,
        "Unheard": "***",
    }


def test_a_uid_that_is_none_is_masked() -> None:
    fields = {"SOPInstanceUID": "DOE^JANE", "StudyInstanceUID": ["DOE"], "Modality": {"DOE": 1}}
    assert set(masked_fields(fields).values()) == {"***"}


def test_a_path_keeps_what_tells_nothing_about_a_patient() -> None:
    file = "SERVICES/PACS/PACS1/p-DOE_JANE-/MR-a-20240102/00001-T1-0123abc/0001-1.2.3.dcm"
    assert masked_path(file) == "SERVICES/PACS/PACS1/***/***/***/0001-1.2.3.dcm"
    folder = "SERVICES/PACS/PACS1/p-DOE_JANE-/MR-a-20240102/00001-T1-0123abc"
    assert masked_path(folder) == "SERVICES/PACS/PACS1/***/***/***"


def test_any_other_path_is_masked_whole() -> None:
    assert masked_path("home/DOE_JANE/1-1.2.dcm") == "***"
    assert masked_path("SERVICES/PACS/DOE_JANE") == "***"
    assert masked_path("SERVICES/PACS/PACS1/DOE_JANE.dcm") == "SERVICES/PACS/PACS1/***"


def test_of_the_headers_only_cubes_answer_is_masked() -> None:
    assert masked_headers({"lapidicom-answer": "DOE", "lapidicom-reason": "refused"}) == {
        "lapidicom-answer": "***",
        "lapidicom-reason": "refused",
    }
