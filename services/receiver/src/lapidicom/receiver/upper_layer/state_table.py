"""The state machine of PS3.8 section 9.2, as data, for the side that accepts associations.

Tables 9-1 to 9-5 (states), 9-6 to 9-9 (actions) and 9-10 (transitions), less what only an association
requestor, or a side that asks for a release or sends P-DATA of its own accord, can meet: Sta4, Sta5, Sta7,
Sta9 to Sta12 and Evt9.
Nothing is done here: `transition` says what the standard wants done, its caller does it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Final


class State(Enum):
    """A state of the upper layer protocol machine (PS3.8 tables 9-1 to 9-5)."""

    STA1 = "Idle"
    STA2 = "Transport connection open, awaiting A-ASSOCIATE-RQ PDU"
    STA3 = "Awaiting local A-ASSOCIATE response primitive"
    STA6 = "Association established and ready for data transfer"
    STA8 = "Awaiting local A-RELEASE response primitive"
    STA13 = "Awaiting transport connection close indication"


class Event(Enum):
    """What can happen to an acceptor (the rows of PS3.8 table 9-10)."""

    EVT3_ASSOCIATE_AC = "A-ASSOCIATE-AC PDU"
    EVT4_ASSOCIATE_RJ = "A-ASSOCIATE-RJ PDU"
    EVT5_TRANSPORT_INDICATION = "Transport connection indication"
    EVT6_ASSOCIATE_RQ = "A-ASSOCIATE-RQ PDU"
    EVT7_ACCEPT = "A-ASSOCIATE response primitive (accept)"
    EVT8_REJECT = "A-ASSOCIATE response primitive (reject)"
    EVT10_DATA = "P-DATA-TF PDU"
    EVT12_RELEASE_RQ = "A-RELEASE-RQ PDU"
    EVT13_RELEASE_RP = "A-RELEASE-RP PDU"
    EVT14_RELEASE = "A-RELEASE response primitive"
    EVT15_ABORT = "A-ABORT request primitive"
    EVT16_ABORT_PDU = "A-ABORT PDU"
    EVT17_TRANSPORT_CLOSED = "Transport connection closed indication"
    EVT18_ARTIM_EXPIRED = "ARTIM timer expired"
    EVT19_INVALID_PDU = "Unrecognized or invalid PDU"


EVENT_OF_PDU_TYPE: Final[Mapping[int, Event]] = MappingProxyType(
    {
        0x01: Event.EVT6_ASSOCIATE_RQ,
        0x02: Event.EVT3_ASSOCIATE_AC,
        0x03: Event.EVT4_ASSOCIATE_RJ,
        0x04: Event.EVT10_DATA,
        0x05: Event.EVT12_RELEASE_RQ,
        0x06: Event.EVT13_RELEASE_RP,
        0x07: Event.EVT16_ABORT_PDU,
    }
)
"""The event that a PDU of a known type causes; any other type is EVT19_INVALID_PDU."""


class Sends(Enum):
    """The PDU that an action sends."""

    ASSOCIATE_AC = auto()
    ASSOCIATE_RJ = auto()
    RELEASE_RP = auto()
    ABORT_BY_USER = auto()
    """A-ABORT with source 0 (service user)."""
    ABORT_BY_PROVIDER = auto()
    """A-ABORT with source 2 (service provider) and a reason of PS3.8 table 9-26."""


@dataclass(frozen=True, slots=True)
class Action:
    """An action of PS3.8 tables 9-6 to 9-9: what it sends, and the state to be in afterwards.

    Two things follow from the states: the ARTIM timer runs from the entry into Sta2 and Sta13 until they are
    left, and the connection closes in Sta1.

    AE-6 has two ends in the standard: an A-ASSOCIATE-RQ that the provider itself cannot accept is rejected at
    once. Here it always leads to Sta3, and whoever decides there answers by EVT7_ACCEPT or EVT8_REJECT: AE-8
    sends the same PDU and leads to the same state as AE-6's other end.

    Attributes:
        name: that the standard gives it.
        next_state: afterwards.
        sends: the PDU, if it sends one.
    """

    name: str
    next_state: State
    sends: Sends | None = None


def _table() -> dict[tuple[State, Event], Action]:
    """Table 9-10, a row per event; None is a cell that the standard leaves blank."""
    states = (State.STA2, State.STA3, State.STA6, State.STA8, State.STA13)
    # Table 9-6: association establishment
    ae5 = Action("AE-5", State.STA2)
    ae6 = Action("AE-6", State.STA3)
    ae7 = Action("AE-7", State.STA6, Sends.ASSOCIATE_AC)
    ae8 = Action("AE-8", State.STA13, Sends.ASSOCIATE_RJ)
    # Table 9-7: data transfer
    dt2 = Action("DT-2", State.STA6)
    # Table 9-8: association release
    ar2 = Action("AR-2", State.STA8)
    ar4 = Action("AR-4", State.STA13, Sends.RELEASE_RP)
    ar5 = Action("AR-5", State.STA1)
    # Table 9-9: association abort
    aa1 = Action("AA-1", State.STA13, Sends.ABORT_BY_USER)
    aa2 = Action("AA-2", State.STA1)
    aa3 = Action("AA-3", State.STA1)
    aa4 = Action("AA-4", State.STA1)
    aa5 = Action("AA-5", State.STA1)
    aa6 = Action("AA-6", State.STA13)
    aa7 = Action("AA-7", State.STA13, Sends.ABORT_BY_PROVIDER)
    aa8 = Action("AA-8", State.STA13, Sends.ABORT_BY_PROVIDER)
    # fmt: off
    rows: dict[Event, tuple[Action | None, ...]] = {
        #                              Sta2  Sta3  Sta6  Sta8  Sta13
        Event.EVT3_ASSOCIATE_AC:      (aa1,  aa8,  aa8,  aa8,  aa6),
        Event.EVT4_ASSOCIATE_RJ:      (aa1,  aa8,  aa8,  aa8,  aa6),
        Event.EVT6_ASSOCIATE_RQ:      (ae6,  aa8,  aa8,  aa8,  aa7),
        Event.EVT7_ACCEPT:            (None, ae7,  None, None, None),
        Event.EVT8_REJECT:            (None, ae8,  None, None, None),
        Event.EVT10_DATA:             (aa1,  aa8,  dt2,  aa8,  aa6),
        Event.EVT12_RELEASE_RQ:       (aa1,  aa8,  ar2,  aa8,  aa6),
        Event.EVT13_RELEASE_RP:       (aa1,  aa8,  aa8,  aa8,  aa6),
        Event.EVT14_RELEASE:          (None, None, None, ar4,  None),
        Event.EVT15_ABORT:            (None, aa1,  aa1,  aa1,  None),
        Event.EVT16_ABORT_PDU:        (aa2,  aa3,  aa3,  aa3,  aa2),
        Event.EVT17_TRANSPORT_CLOSED: (aa5,  aa4,  aa4,  aa4,  ar5),
        Event.EVT18_ARTIM_EXPIRED:    (aa2,  None, None, None, aa2),
        Event.EVT19_INVALID_PDU:      (aa1,  aa8,  aa8,  aa8,  aa7),
    }
    # fmt: on
    table = {
        (state, event): action
        for event, row in rows.items()
        for state, action in zip(states, row, strict=True)
        if action is not None
    }
    table[State.STA1, Event.EVT5_TRANSPORT_INDICATION] = ae5
    return table


TRANSITIONS: Final[Mapping[tuple[State, Event], Action]] = MappingProxyType(_table())
"""Table 9-10 for an acceptor; a pair that is not in it is a blank cell of the standard."""


class UndefinedTransitionError(Exception):
    """A blank cell of table 9-10: a fault of the caller, for no peer can cause one."""


def transition(state: State, event: Event) -> Action:
    """Look up what an event leads to.

    Raises:
        UndefinedTransitionError: a cell that the standard leaves blank, such as a response without a request.
    """
    found = TRANSITIONS.get((state, event))
    if found is None:
        raise UndefinedTransitionError(f"{event.name} in {state.name}")
    return found
