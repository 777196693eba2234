"""Who sends: what records, messages, files and log lines say about an association."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AssociationInfo:
    """An accepted association.

    Args:
        association_id: a UUID made when the association was accepted.
        calling_ae_title, called_ae_title: as received, trimmed.
        pacs_name: the sanitised calling AE title; third component of each path.
        peer_address: host:port of the SCU.
        receiver: CHRIS_RECEIVER_ID.
    """

    association_id: str
    calling_ae_title: str
    called_ae_title: str
    pacs_name: str
    peer_address: str
    receiver: str
