"""The application entity (AE) that the associations of a listener are made with: what they all share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lapidicom.receiver.association.counters import Counters, Tally
from lapidicom.receiver.association.places import Places
from lapidicom.receiver.association.series import AssociationInfo
from lapidicom.receiver.association.store import StoreSCP
from lapidicom.receiver.upper_layer.negotiation import NegotiationPolicy

OpenSCP = Callable[[AssociationInfo, Counters, Any], StoreSCP]


@dataclass(frozen=True, slots=True)
class ApplicationEntity:
    """What all associations of a listener share: policy, limits, places, and the way to a store.

    Args:
        policy: of the negotiation.
        max_pdu_length: longest P-DATA-TF asked for, bytes; 0 = unlimited.
        strict: abort on a longer one.
        acse_timeout: seconds of the ARTIM timer.
        idle_timeout: seconds without a byte after which an established association is aborted.
        admission_wait: seconds for which a newcomer waits for a place.
        receiver_id: CHRIS_RECEIVER_ID.
        places: for associations.
        tally: hands out counters.
        open_scp: makes the C-STORE SCP of an association.
        log: the listener's logger.
    """

    policy: NegotiationPolicy
    max_pdu_length: int
    strict: bool
    acse_timeout: float
    idle_timeout: float
    admission_wait: float
    receiver_id: str
    places: Places
    tally: Tally
    open_scp: OpenSCP
    log: Any
