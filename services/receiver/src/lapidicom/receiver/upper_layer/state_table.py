"""The state machine of PS3.8 section 9.2, as data, for the side that accepts associations.

Tables 9-1 to 9-5 (states), 9-6 to 9-9 (actions) and 9-10 (transitions), less what only an association
requestor or a side that asks for a release can meet: Sta4, Sta5, Sta7 and Sta9 to Sta12.
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
    EVT9_SEND_DATA = "P-DATA request primitive"
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


class Effect(Enum):
    """One thing that an action does, in the order in which it is to be done."""

    SEND_ASSOCIATE_AC = auto()
    SEND_ASSOCIATE_RJ = auto()
    SEND_DATA = auto()
    SEND_RELEASE_RP = auto()
    SEND_ABORT_BY_USER = auto()
    """A-ABORT with source 0 (service user)."""
    SEND_ABORT_BY_PROVIDER = auto()
    """A-ABORT with source 2 (service provider) and a reason of PS3.8 table 9-26."""
    INDICATE_ASSOCIATE = auto()
    INDICATE_DATA = auto()
    INDICATE_RELEASE = auto()
    INDICATE_ABORT = auto()
    """The association ended by the peer's A-ABORT, whoever its source."""
    INDICATE_PROVIDER_ABORT = auto()
    """The association ended by the loss of the connection, or by our own A-ABORT."""
    START_ARTIM = auto()
    """Start the timer, or restart it."""
    STOP_ARTIM = auto()
    CLOSE_TRANSPORT = auto()
    IGNORE = auto()


class Action(Enum):
    """An action of PS3.8 tables 9-6 to 9-9: the name that the standard gives it."""

    AE_5 = "AE-5"
    AE_6 = "AE-6"
    AE_7 = "AE-7"
    AE_8 = "AE-8"
    DT_1 = "DT-1"
    DT_2 = "DT-2"
    AR_2 = "AR-2"
    AR_4 = "AR-4"
    AR_5 = "AR-5"
    AR_7 = "AR-7"
    AA_1 = "AA-1"
    AA_2 = "AA-2"
    AA_3 = "AA-3"
    AA_4 = "AA-4"
    AA_5 = "AA-5"
    AA_6 = "AA-6"
    AA_7 = "AA-7"
    AA_8 = "AA-8"


@dataclass(frozen=True, slots=True)
class Transition:
    """What to do, and the state to be in afterwards.

    AE-6 has two ends in the standard: an A-ASSOCIATE-RQ that the provider itself cannot accept is rejected at
    once. Here it always leads to Sta3, and whoever decides there answers by EVT7_ACCEPT or EVT8_REJECT: AE-8
    sends the same PDU and leads to the same state as AE-6's other end.
    """

    action: Action
    effects: tuple[Effect, ...]
    next_state: State


def _actions() -> dict[Action, Transition]:
    rows: dict[Action, tuple[State, tuple[Effect, ...]]] = {
        # Table 9-6: association establishment
        Action.AE_5: (State.STA2, (Effect.START_ARTIM,)),
        Action.AE_6: (State.STA3, (Effect.STOP_ARTIM, Effect.INDICATE_ASSOCIATE)),
        Action.AE_7: (State.STA6, (Effect.SEND_ASSOCIATE_AC,)),
        Action.AE_8: (State.STA13, (Effect.SEND_ASSOCIATE_RJ, Effect.START_ARTIM)),
        # Table 9-7: data transfer
        Action.DT_1: (State.STA6, (Effect.SEND_DATA,)),
        Action.DT_2: (State.STA6, (Effect.INDICATE_DATA,)),
        # Table 9-8: association release
        Action.AR_2: (State.STA8, (Effect.INDICATE_RELEASE,)),
        Action.AR_4: (State.STA13, (Effect.SEND_RELEASE_RP, Effect.START_ARTIM)),
        Action.AR_5: (State.STA1, (Effect.STOP_ARTIM,)),
        Action.AR_7: (State.STA8, (Effect.SEND_DATA,)),
        # Table 9-9: association abort
        Action.AA_1: (State.STA13, (Effect.SEND_ABORT_BY_USER, Effect.START_ARTIM)),
        Action.AA_2: (State.STA1, (Effect.STOP_ARTIM, Effect.CLOSE_TRANSPORT)),
        Action.AA_3: (State.STA1, (Effect.INDICATE_ABORT, Effect.CLOSE_TRANSPORT)),
        Action.AA_4: (State.STA1, (Effect.INDICATE_PROVIDER_ABORT,)),
        Action.AA_5: (State.STA1, (Effect.STOP_ARTIM,)),
        Action.AA_6: (State.STA13, (Effect.IGNORE,)),
        Action.AA_7: (State.STA13, (Effect.SEND_ABORT_BY_PROVIDER,)),
        Action.AA_8: (
            State.STA13,
            (Effect.SEND_ABORT_BY_PROVIDER, Effect.INDICATE_PROVIDER_ABORT, Effect.START_ARTIM),
        ),
    }
    return {action: Transition(action, effects, state) for action, (state, effects) in rows.items()}


def _table() -> dict[tuple[State, Event], Transition]:
    """Table 9-10, a row per event; None is a cell that the standard leaves blank."""
    states = (State.STA2, State.STA3, State.STA6, State.STA8, State.STA13)
    aa1, aa2, aa3, aa4, aa5 = Action.AA_1, Action.AA_2, Action.AA_3, Action.AA_4, Action.AA_5
    aa6, aa7, aa8 = Action.AA_6, Action.AA_7, Action.AA_8
    # fmt: off
    rows: dict[Event, tuple[Action | None, ...]] = {
        #                              Sta2         Sta3         Sta6         Sta8         Sta13
        Event.EVT3_ASSOCIATE_AC:      (aa1,         aa8,         aa8,         aa8,         aa6),
        Event.EVT4_ASSOCIATE_RJ:      (aa1,         aa8,         aa8,         aa8,         aa6),
        Event.EVT6_ASSOCIATE_RQ:      (Action.AE_6, aa8,         aa8,         aa8,         aa7),
        Event.EVT7_ACCEPT:            (None,        Action.AE_7, None,        None,        None),
        Event.EVT8_REJECT:            (None,        Action.AE_8, None,        None,        None),
        Event.EVT9_SEND_DATA:         (None,        None,        Action.DT_1, Action.AR_7, None),
        Event.EVT10_DATA:             (aa1,         aa8,         Action.DT_2, aa8,         aa6),
        Event.EVT12_RELEASE_RQ:       (aa1,         aa8,         Action.AR_2, aa8,         aa6),
        Event.EVT13_RELEASE_RP:       (aa1,         aa8,         aa8,         aa8,         aa6),
        Event.EVT14_RELEASE:          (None,        None,        None,        Action.AR_4, None),
        Event.EVT15_ABORT:            (None,        aa1,         aa1,         aa1,         None),
        Event.EVT16_ABORT_PDU:        (aa2,         aa3,         aa3,         aa3,         aa2),
        Event.EVT17_TRANSPORT_CLOSED: (aa5,         aa4,         aa4,         aa4,         Action.AR_5),
        Event.EVT18_ARTIM_EXPIRED:    (aa2,         None,        None,        None,        aa2),
        Event.EVT19_INVALID_PDU:      (aa1,         aa8,         aa8,         aa8,         aa7),
    }
    # fmt: on
    actions = _actions()
    table = {
        (state, event): actions[action]
        for event, row in rows.items()
        for state, action in zip(states, row, strict=True)
        if action is not None
    }
    table[State.STA1, Event.EVT5_TRANSPORT_INDICATION] = actions[Action.AE_5]
    return table


TRANSITIONS: Final[Mapping[tuple[State, Event], Transition]] = MappingProxyType(_table())
"""Table 9-10 for an acceptor; a pair that is not in it is a blank cell of the standard."""


class UndefinedTransitionError(Exception):
    """A blank cell of table 9-10: a fault of the caller, for no peer can cause one."""


def transition(state: State, event: Event) -> Transition:
    """Look up what an event leads to.

    Raises:
        UndefinedTransitionError: a cell that the standard leaves blank, such as a response without a request.
    """
    found = TRANSITIONS.get((state, event))
    if found is None:
        raise UndefinedTransitionError(f"{event.name} in {state.name}")
    return found
