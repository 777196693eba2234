"""What is storage, what is not, and what nobody knows."""

import pytest
from pynetdicom import AllStoragePresentationContexts, QueryRetrievePresentationContexts

from lapidicom.receiver.upper_layer.abstract_syntaxes import AbstractSyntaxKind, kind_of


def test_every_storage_class_of_pynetdicom_is_storage() -> None:
    kinds = {kind_of(str(context.abstract_syntax)) for context in AllStoragePresentationContexts}

    assert kinds == {AbstractSyntaxKind.STORAGE}


def test_no_query_or_retrieve_class_is_storage() -> None:
    kinds = {kind_of(str(context.abstract_syntax)) for context in QueryRetrievePresentationContexts}

    assert kinds == {AbstractSyntaxKind.OTHER}


@pytest.mark.parametrize(
    ("uid", "kind"),
    [
        pytest.param("1.2.840.10008.1.1", AbstractSyntaxKind.VERIFICATION, id="Verification"),
        pytest.param("1.3.12.2.1107.5.9.1", AbstractSyntaxKind.STORAGE, id="Siemens CSA non-image"),
        pytest.param("1.3.12.2.1107.5.99.3.10", AbstractSyntaxKind.STORAGE, id="Siemens 10"),
        pytest.param("1.3.12.2.1107.5.99.3.11", AbstractSyntaxKind.STORAGE, id="Siemens 11"),
        pytest.param("1.2.840.10008.5.1.4.31", AbstractSyntaxKind.OTHER, id="Modality Worklist"),
        pytest.param("1.2.840.10008.1.20.1", AbstractSyntaxKind.OTHER, id="Storage Commitment Push"),
        pytest.param("1.2.840.10008.1.20.2", AbstractSyntaxKind.OTHER, id="Storage Commitment Pull"),
        pytest.param("1.2.840.10008.1.3.10", AbstractSyntaxKind.OTHER, id="Media Storage Directory"),
        pytest.param("1.2.840.10008.5.1.4.38.1", AbstractSyntaxKind.OTHER, id="Hanging Protocol Storage"),
        pytest.param("1.2.840.10008.5.1.1.9", AbstractSyntaxKind.OTHER, id="Print Management meta class"),
        pytest.param("1.2.840.10008.5.1.4.32.1", AbstractSyntaxKind.OTHER, id="retired worklist"),
        pytest.param("1.2.840.10008.10.1", AbstractSyntaxKind.OTHER, id="real-time video"),
        pytest.param("1.2.840.10008.1.2", AbstractSyntaxKind.OTHER, id="a transfer syntax"),
        pytest.param("1.2.840.10008.4.2", AbstractSyntaxKind.OTHER, id="a service class"),
        pytest.param("1.2.840.10008.5.1.4.1.1.5", AbstractSyntaxKind.UNKNOWN, id="retired NM storage"),
        pytest.param("1.2.840.10008.5.1.4.1.1.12.77", AbstractSyntaxKind.UNKNOWN, id="retired, no name"),
        pytest.param("1.2.840.10008.5.1.4.1.1.88.1", AbstractSyntaxKind.UNKNOWN, id="trial SR storage"),
        pytest.param("1.2.840.10008.5.1.4.1.1.501.1", AbstractSyntaxKind.UNKNOWN, id="DICOS storage"),
        pytest.param("1.2.840.10008.5.1.4.1.1.99999", AbstractSyntaxKind.UNKNOWN, id="of a later edition"),
        pytest.param("2.25.1", AbstractSyntaxKind.UNKNOWN, id="private"),
        pytest.param("", AbstractSyntaxKind.OTHER, id="empty"),
        pytest.param("1.2.x", AbstractSyntaxKind.OTHER, id="no UID"),
    ],
)
def test_a_class_is_of_its_kind(uid: str, kind: AbstractSyntaxKind) -> None:
    assert kind_of(uid) is kind
