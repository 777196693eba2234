"""The frames of a published message, with pamqp as the judge of what they say."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import body, commands, frame, header

from lapidicom.common.broker.frames import Properties, publish_frames


def properties(**fields: Any) -> Properties:
    known: dict[str, Any] = {
        "content_type": "application/json",
        "headers": {"lapidicom-id": "life.1", "lapidicom-version": 1},
        "message_id": "0123456789abcdef",
        "timestamp": 1_700_000_000,
        "type": "InstanceStored",
        "app_id": "lapidicom-receiver",
    }
    return Properties(**{**known, **fields})


def frames_in(data: bytes) -> list[tuple[int, Any]]:
    found = []
    while data:
        length, channel, value = frame.unmarshal(data)
        found.append((channel, value))
        data = data[length:]
    return found


def contents(data: bytes) -> list[bytes]:
    return [value.value for _, value in frames_in(data) if isinstance(value, body.ContentBody)]


@given(
    channel=st.integers(1, 65535),
    exchange=st.text(max_size=60),
    key=st.text(max_size=60),
    headers=st.dictionaries(
        st.text(min_size=1, max_size=20), st.one_of(st.text(), st.integers(0, 2**31 - 1))
    ),
    message_id=st.text(max_size=60),
    content=st.binary(max_size=100),
)
def test_pamqp_reads_what_was_said(
    channel: int, exchange: str, key: str, headers: dict[str, Any], message_id: str, content: bytes
) -> None:
    said = properties(headers=headers, message_id=message_id)
    (first, method), (second, head), *bodies = frames_in(
        publish_frames(channel, exchange, key, said, content, 4096)
    )
    assert isinstance(method, commands.Basic.Publish)
    assert isinstance(head, header.ContentHeader)
    assert {first, second, *(number for number, _ in bodies)} == {channel}
    assert (method.exchange, method.routing_key, method.mandatory, method.immediate) == (
        exchange,
        key,
        True,
        False,
    )
    read = head.properties
    assert (read.content_type, read.headers, read.delivery_mode) == ("application/json", headers, 2)
    assert (read.message_id, read.message_type, read.app_id) == (message_id, "InstanceStored", said.app_id)
    assert read.timestamp == datetime.fromtimestamp(said.timestamp, UTC)
    assert head.body_size == len(content)
    assert b"".join(value.value for _, value in bodies) == content


@pytest.mark.parametrize("length", [0, 1, 9, 10, 11, 20, 21])
def test_content_is_cut_to_what_a_frame_may_hold(length: int) -> None:
    content = bytes(range(length))
    pieces = contents(publish_frames(1, "x", "k", properties(), content, 10))
    assert b"".join(pieces) == content
    assert all(len(piece) <= 10 for piece in pieces)
    assert len(pieces) == -(-length // 10)


def test_what_pamqp_encodes_is_encoded_alike() -> None:
    said = properties()
    theirs = commands.Basic.Properties(
        content_type=said.content_type,
        headers=dict(said.headers),  # type: ignore[arg-type]
        delivery_mode=2,
        message_id=said.message_id,
        timestamp=datetime.fromtimestamp(said.timestamp, UTC),
        message_type=said.type,
        app_id=said.app_id,
    )
    publish = commands.Basic.Publish(exchange="lapidicom", routing_key="instance.stored", mandatory=True)
    expected = b"".join(
        frame.marshal(one, 3)
        for one in (publish, header.ContentHeader(body_size=4, properties=theirs), body.ContentBody(b"body"))
    )
    assert publish_frames(3, "lapidicom", "instance.stored", said, b"body", 4096) == expected


@pytest.mark.parametrize("key", ["k" * 256, "\N{SNOWMAN}" * 86])
def test_a_key_that_is_too_long_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="256"):
        publish_frames(1, "x", key, properties(), b"", 4096)
