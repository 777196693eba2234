"""Command sets, against pynetdicom's codec and against arbitrary bytes."""

import random
import struct
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom.dimse_messages import (
    C_CANCEL_RQ,
    C_ECHO_RQ,
    C_FIND_RQ,
    C_STORE_RQ,
    N_GET_RQ,
    DIMSEMessage,
)
from pynetdicom.dimse_primitives import C_CANCEL, C_ECHO, C_FIND, C_STORE, N_GET, DIMSEPrimitive
from pynetdicom.dsutils import decode as pynetdicom_decode
from pynetdicom.dsutils import encode as pynetdicom_encode

from lapidicom.receiver.dimse.command import (
    MOST_COMMAND_BYTES,
    Command,
    CommandError,
    CommandField,
    decode_command,
)
from lapidicom.receiver.dimse.response import encode_c_store_response, encode_response
from tests.support.seeds import examples

CT = "1.2.840.10008.5.1.4.1.1.2"
INSTANCE = "1.3.12.2.1107.5.2.19.45152.2013030808061520200285270"


def encoded(message: DIMSEMessage, primitive: DIMSEPrimitive) -> bytes:
    message.primitive_to_message(primitive)
    data = pynetdicom_encode(message.command_set, True, True)
    assert data is not None
    return data


def decoded(data: bytes) -> Dataset:
    return pynetdicom_decode(BytesIO(data), True, True)


def element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value


def us(number: int, value: int) -> bytes:
    return element(number, value.to_bytes(2, "little"))


def store_request(**fields: object) -> bytes:
    store = C_STORE()
    values = {
        "MessageID": 7,
        "AffectedSOPClassUID": CT,
        "AffectedSOPInstanceUID": INSTANCE,
        "Priority": 2,
        "DataSet": BytesIO(b"data"),
        **fields,
    }
    for keyword, value in values.items():
        setattr(store, keyword, value)
    return encoded(C_STORE_RQ(), store)


def command(**fields: object) -> Command:
    values = {
        "command_field": 1,
        "message_id": 7,
        "affected_sop_class_uid": CT,
        "affected_sop_instance_uid": INSTANCE,
        "data_set_type": 1,
        "requested_sop_class_uid": "",
    }
    return Command(**{**values, **fields})  # type: ignore[arg-type]


def test_a_c_store_request_of_pynetdicom_decodes_to_what_was_meant() -> None:
    data = store_request(MoveOriginatorApplicationEntityTitle="MOVER", MoveOriginatorMessageID=44)

    assert decode_command(data) == Command(
        command_field=CommandField.C_STORE_RQ,
        message_id=7,
        affected_sop_class_uid=CT,
        affected_sop_instance_uid=INSTANCE,
        data_set_type=1,
        requested_sop_class_uid="",
    )


def test_a_c_echo_request_has_no_data_set() -> None:
    echo = C_ECHO()
    echo.MessageID, echo.AffectedSOPClassUID = 65535, "1.2.840.10008.1.1"

    request = decode_command(encoded(C_ECHO_RQ(), echo))

    assert (request.command_field, request.message_id) == (CommandField.C_ECHO_RQ, 65535)
    assert not request.has_data_set
    assert request.expects_response


def test_a_cancel_names_the_message_that_it_cancels_and_gets_no_answer() -> None:
    cancel = C_CANCEL()
    cancel.MessageIDBeingRespondedTo = 12

    request = decode_command(encoded(C_CANCEL_RQ(), cancel))

    assert (request.command_field, request.message_id) == (CommandField.C_CANCEL_RQ, 12)
    assert not request.expects_response
    with pytest.raises(ValueError, match="0x0FFF gets no response"):
        encode_response(request, 0x0211)


def test_a_response_gets_no_answer() -> None:
    data = us(0x0100, 0x8001) + us(0x0120, 9) + us(0x0800, 0x0101) + us(0x0900, 0)

    response = decode_command(data)

    assert (response.is_response, response.expects_response, response.message_id) == (True, False, 9)
    with pytest.raises(ValueError, match="0x8001 gets no response"):
        encode_response(response, 0x0211)


def test_the_order_of_elements_unknown_ones_and_the_group_length_do_not_matter() -> None:
    elements = [
        element(0x0000, b"\xff\xff\xff\xff"),
        element(0x0002, CT.encode() + b"\0"),
        us(0x0100, 1),
        us(0x0110, 7),
        us(0x0700, 0),
        us(0x0800, 0),
        element(0x1000, INSTANCE.encode()),
        element(0x5010, b"retired"),
        struct.pack("<HHI", 8, 0x0100, 2) + b"\x99\x99",
    ]
    random.Random(3).shuffle(elements)

    assert decode_command(b"".join(elements)) == command(data_set_type=0)


@pytest.mark.parametrize(
    "padded",
    [CT.encode(), CT.encode() + b"\0", CT.encode() + b" ", b" " + CT.encode(), CT.encode() + b"\0\0\0"],
)
def test_uids_are_trimmed(padded: bytes) -> None:
    data = element(0x0002, padded) + us(0x0100, 1) + us(0x0110, 7) + us(0x0800, 0)

    assert decode_command(data).affected_sop_class_uid == CT


def test_odd_lengths_are_read_as_they_stand() -> None:
    data = us(0x0100, 1) + us(0x0110, 7) + element(0x1000, b"1.2.3") + us(0x0800, 0)

    assert decode_command(data).affected_sop_instance_uid == "1.2.3"


_GOOD = us(0x0100, 1) + us(0x0110, 7) + us(0x0800, 1)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        pytest.param(b"", "Command Field", id="nothing"),
        pytest.param(_GOOD + b"\0\0\2\0", "cut off", id="header cut off"),
        pytest.param(_GOOD + struct.pack("<HHI", 0, 2, 9) + b"1.2", "6 bytes behind", id="value cut off"),
        pytest.param(_GOOD + struct.pack("<HHI", 0, 2, 0xFFFFFFFF), "behind", id="undefined length"),
        pytest.param(us(0x0110, 7) + us(0x0800, 1), "Command Field", id="no command field"),
        pytest.param(us(0x0100, 1) + us(0x0800, 1), "Message ID", id="no message id"),
        pytest.param(us(0x0100, 1) + us(0x0110, 7), "Data Set Type", id="no data set type"),
        pytest.param(element(0x0100, b"") + _GOOD[10:], "0 bytes", id="empty command field"),
        pytest.param(element(0x0100, b"\1\0\0\0") + _GOOD[10:], "4 bytes", id="command field of 4 bytes"),
        pytest.param(_GOOD + element(0x5000, bytes(MOST_COMMAND_BYTES)), "command set of", id="too long"),
    ],
)
def test_what_is_cut_off_or_contradictory_is_an_error(data: bytes, fault: str) -> None:
    with pytest.raises(CommandError, match=fault):
        decode_command(data)


_ELEMENT = st.builds(
    element,
    st.sampled_from(
        (0, 2, 3, 0x0100, 0x0110, 0x0120, 0x0700, 0x0800, 0x0900, 0x1000, 0x1030, 0x1031, 0x9999)
    ),
    st.binary(max_size=6) | st.just(b"\1\0"),
)


@settings(max_examples=examples(300))
@given(
    st.binary(max_size=80) | st.lists(_ELEMENT, max_size=10).map(b"".join) | st.just(store_request()),
    st.data(),
)
def test_any_bytes_are_a_command_or_a_command_error(data: bytes, draw: st.DataObject) -> None:
    if data and draw.draw(st.booleans()):
        position = draw.draw(st.integers(0, len(data) - 1))
        data = data[:position] + draw.draw(st.binary(max_size=2)) + data[position + 1 :]
    try:
        request = decode_command(data)
    except CommandError:
        return
    if request.expects_response:
        answer = decoded(encode_response(request, 0x0211))
        assert answer.MessageIDBeingRespondedTo == request.message_id


_UID = st.lists(st.integers(0, 99999), min_size=1, max_size=10).map(lambda parts: ".".join(map(str, parts)))
_US = st.integers(0, 65535)


@given(_UID, _UID, _US, st.sampled_from((0, 1, 2)))
def test_what_pynetdicom_encodes_is_decoded(
    sop_class: str, instance: str, message_id: int, priority: int
) -> None:
    data = store_request(
        AffectedSOPClassUID=sop_class,
        AffectedSOPInstanceUID=instance,
        MessageID=message_id,
        Priority=priority,
    )

    assert decode_command(data) == command(
        affected_sop_class_uid=sop_class,
        affected_sop_instance_uid=instance,
        message_id=message_id,
    )


_COMMENT = st.text(max_size=80)
_TAGS = st.lists(st.integers(0, 0xFFFFFFFF), max_size=3)


@given(_UID, _UID, _US, _US, _COMMENT, _TAGS)
def test_pynetdicom_decodes_what_we_answer_to_c_store(
    sop_class: str, instance: str, message_id: int, status: int, comment: str, tags: list[int]
) -> None:
    request = command(
        affected_sop_class_uid=sop_class, affected_sop_instance_uid=instance, message_id=message_id
    )

    data = encode_c_store_response(request, status, comment, tags)
    answer = decoded(data)

    assert len(data) % 2 == 0
    assert answer.CommandGroupLength == len(data) - 12
    assert answer.CommandField == CommandField.C_STORE_RSP
    assert (answer.AffectedSOPClassUID, answer.AffectedSOPInstanceUID) == (sop_class, instance)
    assert (answer.MessageIDBeingRespondedTo, answer.Status) == (message_id, status)
    assert answer.CommandDataSetType == 0x0101
    assert [e.tag for e in answer] == sorted(e.tag for e in answer)
    if status:
        found = answer.get("OffendingElement", [])
        assert [int(tag) for tag in (found if len(tags) != 1 else [found])] == tags
        assert len(answer.get("ErrorComment", "")) <= 64
        assert ("ErrorComment" in answer) == bool(comment)
    else:
        assert "ErrorComment" not in answer
        assert "OffendingElement" not in answer


def test_a_comment_is_plain_text_of_even_length() -> None:
    data = encode_c_store_response(command(), 0xC000, "a\\b\nMüller")

    assert b"a?b?M?ller" in data
    assert decoded(encode_c_store_response(command(), 0xC000, "odd")).ErrorComment == "odd"
    assert b"\x04\0\0\0odd " in encode_c_store_response(command(), 0xC000, "odd")


def test_an_offending_element_is_group_then_element() -> None:
    data = encode_c_store_response(command(), 0xA900, "", (0x0008_0018,))

    assert b"\x00\x00\x01\x09\x04\0\0\0\x08\x00\x18\x00" in data


def test_absent_uids_are_left_out_of_the_answer() -> None:
    answer = decoded(
        encode_c_store_response(command(affected_sop_class_uid="", affected_sop_instance_uid=""), 0x0117)
    )

    assert "AffectedSOPClassUID" not in answer
    assert "AffectedSOPInstanceUID" not in answer


def test_an_echo_is_answered_with_success() -> None:
    request = command(command_field=0x30, affected_sop_class_uid="1.2.840.10008.1.1", data_set_type=0x0101)

    answer = decoded(encode_response(request, 0))

    assert answer.CommandField == CommandField.C_ECHO_RSP
    assert (answer.AffectedSOPClassUID, answer.Status) == ("1.2.840.10008.1.1", 0)
    assert (answer.MessageIDBeingRespondedTo, answer.CommandDataSetType) == (7, 0x0101)


def test_unknown_operations_are_refused_under_their_own_response_field() -> None:
    find = C_FIND()
    find.MessageID, find.AffectedSOPClassUID, find.Priority = 3, "1.2.840.10008.5.1.4.1.2.2.1", 0
    find.Identifier = BytesIO(b"id")
    get = N_GET()
    get.MessageID, get.RequestedSOPClassUID, get.RequestedSOPInstanceUID = 4, "1.2.3", "1.2.3.4"

    found = decoded(encode_response(decode_command(encoded(C_FIND_RQ(), find)), 0x0211, "no"))
    got = decoded(encode_response(decode_command(encoded(N_GET_RQ(), get)), 0x0211))

    assert (found.CommandField, found.Status, found.ErrorComment) == (0x8020, 0x0211, "no")
    assert (got.CommandField, got.AffectedSOPClassUID) == (0x8110, "1.2.3")
