"""Messages put together from fragments: what is answered, what is not, and what ends the association."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapidicom.receiver.dimse.command import MOST_COMMAND_BYTES, Command
from lapidicom.receiver.dimse.provider import AnswerGivenUp, DimseViolation, ServiceProvider
from lapidicom.receiver.errors import CannotUnderstand, OutOfResources, Refusal
from lapidicom.receiver.upper_layer.pdu_reader import Fragment
from lapidicom.receiver.upper_layer.presentation_context import ContextResult, ContextResultCode
from lapidicom.receiver.upper_layer.transport import PeerClosed
from tests.support.byte_scripts import (
    CT,
    IMPLICIT,
    VERIFICATION,
    command_set,
    echo_command,
    store_command,
    us,
)
from tests.support.byte_scu import decode_response
from tests.support.seeds import examples

CONTEXTS = {
    1: ContextResult(1, ContextResultCode.ACCEPTANCE, IMPLICIT, VERIFICATION),
    3: ContextResult(3, ContextResultCode.ACCEPTANCE, IMPLICIT, CT),
    5: ContextResult(5, ContextResultCode.ACCEPTANCE, IMPLICIT, CT),
}
CANCEL = command_set(us(0x0100, 0x0FFF), us(0x0120, 3), us(0x0800, 0x0101))
FIND = command_set(us(0x0100, 0x20), us(0x0110, 7), us(0x0800, 1))
RESPONSE = command_set(us(0x0100, 0x8001), us(0x0120, 7), us(0x0800, 0x0101), us(0x0900, 0))


class FakeStoreSCP:
    def __init__(self) -> None:
        self.begun: list[tuple[Command, ContextResult]] = []
        self.data: list[bytes] = []
        self.refusal: Refusal | None = None
        self.spilled = 0
        self.steps: list[str] = []
        self.finishing: Callable[[], None] = lambda: None

    def begin(self, command: Command, context: ContextResult) -> None:
        self.begun.append((command, context))
        self.data.append(b"")

    def feed(self, data: memoryview) -> None:
        self.data[-1] += bytes(data)

    def spill(self) -> None:
        self.spilled += 1

    def finish(self) -> None:
        self.steps.append("finish")
        self.finishing()
        if self.refusal is not None:
            raise self.refusal

    def settle(self) -> None:
        self.steps.append("settle")

    def prepare(self) -> None:
        self.steps.append("prepare")


class Room:
    def __init__(self) -> None:
        self.store = FakeStoreSCP()
        self.sent: list[tuple[int, bytes]] = []
        self.provider = ServiceProvider(CONTEXTS, self.store, self._send)
        self.send_fails = False

    def _send(self, context_id: int, command: bytes) -> None:
        self.store.steps.append("answer")
        if self.send_fails:
            raise PeerClosed
        self.sent.append((context_id, command))

    def command(self, data: bytes, context_id: int = 3, *, last: bool = True) -> None:
        self.provider.take(Fragment(context_id, True, last, memoryview(data)))

    def data(self, data: bytes, context_id: int = 3, *, last: bool = True) -> None:
        self.provider.take(Fragment(context_id, False, last, memoryview(data)))

    def answers(self) -> list[tuple[int, int, int, int]]:
        """Context, Command Field, message and status of each answer."""
        decoded = [(context_id, decode_response(data)) for context_id, data in self.sent]
        return [(context_id, one.command_field, one.message_id, one.status) for context_id, one in decoded]


def test_an_echo_is_answered_in_its_context() -> None:
    room = Room()
    room.command(echo_command(5), 1)
    assert room.answers() == [(1, 0x8030, 5, 0)]


def test_a_store_is_answered_when_its_last_fragment_has_come() -> None:
    room = Room()
    room.command(store_command(9), 5)
    room.data(b"one ", 5, last=False)
    room.data(b"two", 5, last=False)
    assert room.sent == []
    room.data(b"", 5)
    assert room.answers() == [(5, 0x8001, 9, 0)]
    assert room.store.data == [b"one two"]
    assert room.store.begun[0][1] is CONTEXTS[5]


def test_a_refusal_is_answered_with_its_tags_and_the_next_message_is_taken() -> None:
    room = Room()
    room.store.refusal = CannotUnderstand("StudyDate (0008,0020) is missing", (0x00080020,))
    room.command(store_command(1))
    room.data(b"x")
    room.store.refusal = None
    room.command(store_command(2))
    room.data(b"y")
    assert room.answers() == [(3, 0x8001, 1, 0xC000), (3, 0x8001, 2, 0)]
    refused = decode_response(room.sent[0][1])
    assert (refused.comment, refused.offending) == ("StudyDate (0008,0020) is missing", (0x00080020,))


@pytest.mark.parametrize("refusal", [None, CannotUnderstand("StudyDate (0008,0020) is missing")])
def test_an_instance_is_settled_and_the_next_one_prepared_behind_the_answer(refusal: Refusal | None) -> None:
    room = Room()
    room.store.refusal = refusal
    room.command(store_command(1))
    room.data(b"x")
    assert room.store.steps == ["finish", "answer", "settle", "prepare"]


def test_an_instance_whose_answer_cannot_be_sent_is_settled_and_nothing_is_prepared() -> None:
    room = Room()
    room.send_fails = True
    room.command(store_command(1))
    with pytest.raises(PeerClosed):
        room.data(b"x")
    assert room.store.steps == ["finish", "answer", "settle"]


def test_an_instance_is_answered_once_by_whoever_comes_first() -> None:
    room = Room()
    assert room.provider.give_up(OutOfResources("volume has not answered")) is None
    room.command(store_command(1))
    room.data(b"x", last=False)
    assert room.provider.give_up(OutOfResources("volume has not answered")) is None, "more is to come"
    given_up: list[tuple[int, bytes] | None] = []

    def hang() -> None:
        given_up.extend(room.provider.give_up(OutOfResources("volume has not answered")) for _ in range(2))

    room.store.finishing = hang
    with pytest.raises(AnswerGivenUp):
        room.data(b"y")
    (context_id, response), again = given_up[0] or (0, b""), given_up[1]
    assert (context_id, decode_response(response).status, again) == (3, 0xA700, None)
    assert room.sent == []
    assert room.store.steps == ["finish", "settle"]


def test_views_that_end_are_spilled_only_while_a_data_set_is_stored() -> None:
    room = Room()
    room.provider.spill()
    assert room.store.spilled == 0
    room.command(store_command(1))
    room.data(b"x", last=False)
    room.provider.spill()
    assert room.store.spilled == 1
    room.data(b"y")
    room.provider.spill()
    assert room.store.spilled == 1
    room.command(FIND)
    room.data(b"identifier", last=False)
    room.provider.spill()
    assert room.store.spilled == 1, "what is thrown away need not be kept"


@settings(max_examples=examples(100))
@given(cuts=st.sets(st.integers(0, len(store_command(7))), max_size=20))
def test_a_command_in_any_fragments_is_understood(cuts: set[int]) -> None:
    room, data = Room(), store_command(7)
    edges = [0, *sorted(cuts), len(data)]
    for start, end in pairwise(edges):
        room.command(data[start:end], last=False)
    room.command(b"")
    room.data(b"x")
    assert room.answers() == [(3, 0x8001, 7, 0)]


@pytest.mark.parametrize("data", [CANCEL, RESPONSE], ids=["C-CANCEL", "a response"])
def test_what_expects_no_answer_gets_none(data: bytes) -> None:
    room = Room()
    room.command(data)
    assert room.sent == []
    room.command(echo_command(5), 1)
    assert len(room.sent) == 1


def test_the_data_set_of_an_unknown_command_is_thrown_away_before_the_answer() -> None:
    room = Room()
    room.command(FIND)
    room.data(b"identifier", last=False)
    assert room.sent == []
    room.data(b"more")
    assert room.answers() == [(3, 0x8020, 7, 0x0211)]
    assert room.store.data == []


def test_an_echo_in_a_context_of_storage_names_the_class() -> None:
    room = Room()
    room.command(echo_command(5), 3)
    answer = decode_response(room.sent[0][1])
    assert (answer.status, answer.command_field) == (0x0122, 0x8030)


@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        (lambda room: room.data(b"x"), "without a command"),
        (lambda room: (room.command(store_command()), room.command(echo_command(), 1)), "inside a data set"),
        (lambda room: (room.command(store_command()), room.data(b"x", 5)), "inside a data set"),
        (lambda room: (room.command(FIND), room.data(b"x", 5)), "inside a data set"),
        (lambda room: (room.command(b"xx", last=False), room.command(b"xx", 5)), "inside a command set"),
        (lambda room: (room.command(b"xx", last=False), room.data(b"xx")), "without a command"),
        (lambda room: room.command(echo_command(), 7), "not accepted"),
        (lambda room: room.command(b""), "command set"),
        (lambda room: room.command(echo_command()[:-1], 1), "command set"),
        (lambda room: room.command(bytes(MOST_COMMAND_BYTES + 1), last=False), "longer than 16 KiB"),
        (lambda room: room.command(bytes(MOST_COMMAND_BYTES + 1)), "command set of"),
        (lambda room: [room.command(b"x" * 100, last=False) for _ in range(200)], "longer than 16 KiB"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_breaks_the_rules_of_message_exchange_is_a_violation(
    steps: Callable[[Room], object], fault: str
) -> None:
    room = Room()
    with pytest.raises(DimseViolation, match=fault):
        steps(room)
    assert room.sent == []
