"""Which abstract syntaxes are storage SOP classes: what pynetdicom and pydicom know, and three of Siemens."""

import re
from enum import Enum, auto
from typing import Final

from pydicom.uid import UID
from pynetdicom.presentation import AllStoragePresentationContexts
from pynetdicom.service_class import ServiceClass
from pynetdicom.sop_class import uid_to_service_class

VERIFICATION_SOP_CLASS: Final = "1.2.840.10008.1.1"

STORAGE_SERVICE_CLASS: Final = "1.2.840.10008.4.2"
"""Service Class UID of the Storage Service Class (PS3.4 B.3.1.4, in Common Extended Negotiation)."""

PRIVATE_STORAGE_SOP_CLASSES: Final = frozenset(
    {
        "1.3.12.2.1107.5.9.1",  # Siemens CSA Non-Image Storage
        "1.3.12.2.1107.5.99.3.10",  # Siemens AX Frame Sets Storage
        "1.3.12.2.1107.5.99.3.11",  # Siemens AX frame set, second form
    }
)

STORAGE_SOP_CLASSES: Final = PRIVATE_STORAGE_SOP_CLASSES | {
    str(context.abstract_syntax) for context in AllStoragePresentationContexts
}
"""The SOP classes of the Storage Service Class that are known for certain (PS3.4 B.5)."""

_UID = re.compile(r"[0-9.]{1,64}")
_NOT_FOR_THE_NETWORK = "Media Storage Directory Storage"
_NOT_STORAGE_THOUGH_SO_CALLED = "Storage Commitment"


class AbstractSyntaxKind(Enum):
    """What is known of an abstract syntax."""

    VERIFICATION = auto()
    STORAGE = auto()
    OTHER = auto()
    """Of the standard, and no storage of a patient's instances (query, worklist, print, hanging protocols);
    or no UID at all."""
    UNKNOWN = auto()
    """Private, newer than our tables, or retired storage, which pynetdicom does not list."""


def kind_of(abstract_syntax: str) -> AbstractSyntaxKind:
    """Classify an abstract syntax by the tables of pynetdicom, then of pydicom (PS3.6 table A-1)."""
    if abstract_syntax in STORAGE_SOP_CLASSES:
        return AbstractSyntaxKind.STORAGE
    if abstract_syntax == VERIFICATION_SOP_CLASS:
        return AbstractSyntaxKind.VERIFICATION
    if not _UID.fullmatch(abstract_syntax) or uid_to_service_class(abstract_syntax) is not ServiceClass:
        return AbstractSyntaxKind.OTHER
    uid = UID(abstract_syntax)
    if not uid.type or (uid.type == "SOP Class" and _may_be_storage(uid.name)):
        return AbstractSyntaxKind.UNKNOWN
    return AbstractSyntaxKind.OTHER


def _may_be_storage(name: str) -> bool:
    """Judge a SOP class that pynetdicom has no service for by the name the standard gave it."""
    if not name:  # two retired UIDs whose names the standard withdrew, among those of image storage
        return True
    return "Storage" in name and not name.startswith((_NOT_FOR_THE_NETWORK, _NOT_STORAGE_THOUGH_SO_CALLED))
