"""Command sets of one association: whatever came before, each is decoded to what it says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapidicom.receiver.dimse.command import CommandDecoder, CommandError, decode_command
from tests.support.byte_scripts import CT, command_set, echo_command, store_command, uid, us


def decoded(decoder: CommandDecoder, data: bytes) -> object:
    try:
        return decoder.decode(data)
    except CommandError as error:
        return str(error)


@st.composite
def like_a_store_command(draw: st.DrawFn) -> bytes:
    """A C-STORE-RQ, with a few bytes changed: a value, a length or a tag."""
    data = bytearray(
        store_command(draw(st.integers(0, 3)), draw(st.sampled_from(["1.2.3", "1.2.4", "1.22.3"])))
    )
    for _ in range(draw(st.integers(0, 2))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


@given(st.lists(like_a_store_command(), min_size=2, max_size=6))
def test_what_came_before_changes_nothing(commands: list[bytes]) -> None:
    decoder = CommandDecoder()
    for data in commands:
        try:
            expected: object = decode_command(data)
        except CommandError as error:
            expected = str(error)
        assert decoded(decoder, data) == expected


def test_message_id_and_instance_are_those_of_each_request() -> None:
    decoder = CommandDecoder()
    for message_id, instance in ((1, "1.2.3"), (65535, "1.2.4"), (7, "1.2.34"), (8, "1.2.35")):
        command = decoder.decode(store_command(message_id, instance))
        assert (command.message_id, command.affected_sop_instance_uid) == (message_id, instance)
        assert command.affected_sop_class_uid == CT


def test_a_request_without_an_instance_is_decoded_each_time() -> None:
    decoder = CommandDecoder()
    for message_id in (1, 2):
        data = command_set(uid(2, CT), us(0x0100, 1), us(0x0110, message_id), us(0x0800, 1))
        assert decoder.decode(data) == decode_command(data)


def test_a_request_whose_message_id_stands_in_the_element_of_a_response_is_decoded_each_time() -> None:
    decoder = CommandDecoder()
    for message_id in (1, 2):
        data = command_set(
            uid(2, CT), us(0x0100, 1), us(0x0120, message_id), us(0x0800, 1), uid(0x1000, "1.2.3")
        )
        assert decoder.decode(data) == decode_command(data)


def test_elements_out_of_order_are_decoded_each_time() -> None:
    decoder = CommandDecoder()
    for message_id in (1, 2):
        data = command_set(us(0x0100, 1), uid(0x1000, "1.2.3"), us(0x0110, message_id), us(0x0800, 1))
        assert decoder.decode(data) == decode_command(data)


def test_other_commands_between_change_nothing() -> None:
    decoder = CommandDecoder()
    for data in (store_command(1), echo_command(2), store_command(3)):
        assert decoder.decode(data) == decode_command(data)


def test_many_lengths_of_instance_are_decoded() -> None:
    decoder = CommandDecoder()
    for length in (*range(1, 65), *range(1, 65)):
        data = store_command(length, "1" * length)
        assert decoder.decode(data) == decode_command(data)


def test_a_command_set_that_is_cut_off_is_an_error_behind_a_good_one() -> None:
    decoder = CommandDecoder()
    decoder.decode(store_command(1))
    with pytest.raises(CommandError, match="behind the command set"):
        decoder.decode(store_command(1)[:-2])
