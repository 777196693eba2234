"""The acceptor's transitions, held against the cells of PS3.8 table 9-10."""

import pytest
from pynetdicom.fsm import ACTIONS, TRANSITION_TABLE

from lapidicom.receiver.upper_layer.pdu import PDUType
from lapidicom.receiver.upper_layer.state_table import (
    EVENT_OF_PDU_TYPE,
    TRANSITIONS,
    Action,
    Effect,
    Event,
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
Evt9   -     -     DT-1  AR-7  -
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
AE-5 Sta2  AE-6 Sta3  AE-7 Sta6  AE-8 Sta13  DT-1 Sta6  DT-2 Sta6
AR-2 Sta8  AR-4 Sta13 AR-5 Sta1  AR-7 Sta8
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

    assert {pair: found.action.value for pair, found in TRANSITIONS.items()} == quoted


def test_every_action_leads_to_the_state_of_the_standard() -> None:
    words = NEXT_STATES.split()
    quoted = dict(zip(words[::2], words[1::2], strict=True))

    found = {t.action.value: t.next_state.name.capitalize() for t in TRANSITIONS.values()}

    assert found == quoted
    assert {action.value for action in Action} == set(quoted)


def test_pynetdicom_has_the_same_cells_for_an_acceptor() -> None:
    for (state, event), found in TRANSITIONS.items():
        name = TRANSITION_TABLE[event.name.split("_")[0].capitalize(), state.name.capitalize()]
        next_state = ACTIONS[name][2]
        assert found.action.value == name
        assert found.next_state.name.capitalize() in next_state


@pytest.mark.parametrize("state", [State.STA2, State.STA3, State.STA6, State.STA8, State.STA13])
def test_whatever_a_peer_can_do_in_a_state_is_defined(state: State) -> None:
    from_the_peer = {*EVENT_OF_PDU_TYPE.values(), Event.EVT17_TRANSPORT_CLOSED, Event.EVT19_INVALID_PDU}

    assert all(transition(state, event) for event in from_the_peer)


@pytest.mark.parametrize("state", [State.STA2, State.STA13])
def test_the_timer_may_expire_wherever_an_action_leaves_it_running(state: State) -> None:
    assert Effect.CLOSE_TRANSPORT in transition(state, Event.EVT18_ARTIM_EXPIRED).effects


def test_every_pdu_type_has_its_event() -> None:
    assert set(EVENT_OF_PDU_TYPE) == set(PDUType)


def test_each_transition_that_ends_in_sta1_closes_or_was_closed() -> None:
    for (_, event), found in TRANSITIONS.items():
        if found.next_state is State.STA1:
            closes = Effect.CLOSE_TRANSPORT in found.effects
            assert closes or event is Event.EVT17_TRANSPORT_CLOSED


def test_a_blank_cell_is_a_fault_of_the_caller() -> None:
    with pytest.raises(UndefinedTransitionError, match="EVT14_RELEASE in STA6"):
        transition(State.STA6, Event.EVT14_RELEASE)
