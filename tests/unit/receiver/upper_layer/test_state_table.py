"""The acceptor's transitions, held against the cells of PS3.8 table 9-10."""

import pytest
from pynetdicom.fsm import ACTIONS, TRANSITION_TABLE

from lapidicom.receiver.upper_layer.pdu import PDUType
from lapidicom.receiver.upper_layer.state_table import (
    EVENT_OF_PDU_TYPE,
    TRANSITIONS,
    Event,
    Sends,
    State,
    UndefinedTransitionError,
    transition,
)

# PS3.8 table 9-10, columns Sta2 Sta3 Sta6 Sta8 Sta13; "-" is a blank cell
TABLE_9_10 = """
Evt3   AA-1  AA-8  AA-8  AA-8  AA-6
Evt4   AA-1  AA-8  AA-8  AA-8  AA-6
Evt6   AE-6  AA-8  AA-8  AA-8  AA-7
Evt7   -     AE-7  -     -     -
Evt8   -     AE-8  -     -     -
Evt10  AA-1  AA-8  DT-2  AA-8  AA-6
Evt12  AA-1  AA-8  AR-2  AA-8  AA-6
Evt13  AA-1  AA-8  AA-8  AA-8  AA-6
Evt14  -     -     -     AR-4  -
Evt15  -     AA-1  AA-1  AA-1  -
Evt16  AA-2  AA-3  AA-3  AA-3  AA-2
Evt17  AA-5  AA-4  AA-4  AA-4  AR-5
Evt18  AA-2  -     -     -     AA-2
Evt19  AA-1  AA-8  AA-8  AA-8  AA-7
"""

# PS3.8 tables 9-6 to 9-9: the next state of each action
NEXT_STATES = """
AE-5 Sta2  AE-6 Sta3  AE-7 Sta6  AE-8 Sta13  DT-2 Sta6
AR-2 Sta8  AR-4 Sta13 AR-5 Sta1
AA-1 Sta13 AA-2 Sta1  AA-3 Sta1  AA-4 Sta1   AA-5 Sta1  AA-6 Sta13 AA-7 Sta13 AA-8 Sta13
"""


def _event(number: str) -> Event:
    return next(event for event in Event if event.name.split("_")[0] == number.upper())


def _cells() -> list[tuple[State, Event, str]]:
    cells = [(State.STA1, Event.EVT5_TRANSPORT_INDICATION, "AE-5")]
    for line in TABLE_9_10.split("\n"):
        if line:
            number, *actions = line.split()
            states = (State.STA2, State.STA3, State.STA6, State.STA8, State.STA13)
            cells += [(s, _event(number), a) for s, a in zip(states, actions, strict=True) if a != "-"]
    return cells


def test_every_cell_is_that_of_the_standard_and_no_other_cell_is_filled() -> None:
    quoted = {(state, event): action for state, event, action in _cells()}

    assert {pair: found.name for pair, found in TRANSITIONS.items()} == quoted


def test_every_action_leads_to_the_state_of_the_standard() -> None:
    words = NEXT_STATES.split()
    quoted = dict(zip(words[::2], words[1::2], strict=True))

    found = {t.name: t.next_state.name.capitalize() for t in TRANSITIONS.values()}

    assert found == quoted


def test_pynetdicom_has_the_same_cells_for_an_acceptor() -> None:
    for (state, event), found in TRANSITIONS.items():
        name = TRANSITION_TABLE[event.name.split("_")[0].capitalize(), state.name.capitalize()]
        next_state = ACTIONS[name][2]
        assert found.name == name
        assert found.next_state.name.capitalize() in next_state


@pytest.mark.parametrize("state", [State.STA2, State.STA3, State.STA6, State.STA8, State.STA13])
def test_whatever_a_peer_can_do_in_a_state_is_defined(state: State) -> None:
    from_the_peer = {*EVENT_OF_PDU_TYPE.values(), Event.EVT17_TRANSPORT_CLOSED, Event.EVT19_INVALID_PDU}

    assert all(transition(state, event) for event in from_the_peer)


def test_the_timer_may_expire_only_in_the_states_in_which_it_runs() -> None:
    timed = {state for state, event in TRANSITIONS if event is Event.EVT18_ARTIM_EXPIRED}

    assert timed == {State.STA2, State.STA13}


def test_what_pynetdicom_sends_with_an_action_is_sent_here() -> None:
    sent = {found.name: found.sends for found in TRANSITIONS.values() if found.sends is not None}

    assert sent == {
        "AE-7": Sends.ASSOCIATE_AC,
        "AE-8": Sends.ASSOCIATE_RJ,
        "AR-4": Sends.RELEASE_RP,
        "AA-1": Sends.ABORT_BY_USER,
        "AA-7": Sends.ABORT_BY_PROVIDER,
        "AA-8": Sends.ABORT_BY_PROVIDER,
    }
    for name, pdu in sent.items():
        words = ACTIONS[name][0].lower()
        assert "send" in words or "issue" in words, (name, pdu)


def test_every_pdu_type_has_its_event() -> None:
    assert set(EVENT_OF_PDU_TYPE) == set(PDUType)


def test_a_blank_cell_is_a_fault_of_the_caller() -> None:
    with pytest.raises(UndefinedTransitionError, match="EVT14_RELEASE in STA6"):
        transition(State.STA6, Event.EVT14_RELEASE)
