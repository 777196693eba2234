"""An export's lines: what AMQP carries comes back with its types."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pamqp.commands import Basic

from lapidicom.cli.export import FORMAT, VERSION, Exported, NoExport, read_export
from tests.support.seeds import examples

times = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)).map(  # noqa: DTZ001 (made aware below)
    lambda when: when.replace(microsecond=0, tzinfo=UTC)
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(max_size=8)
    | st.binary(max_size=8).map(bytearray)
    | times
    | st.decimals(-1000, 1000, places=2)
)
names = st.sampled_from(["a", "ü", "$bytes", "$table", "x-death", ""])
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=examples(150))
@given(
    st.dictionaries(names, values, max_size=4),
    st.binary(max_size=20) | st.text(max_size=9).map(str.encode),
    times,
)
def test_every_message_comes_back_as_it_was(headers: dict[str, Any], body: bytes, when: datetime) -> None:
    properties = Basic.Properties(headers=headers, timestamp=when, message_type="t", priority=0)
    message = Exported.of("key", body, properties)
    (read,) = read_back([message.line()])
    assert read == message
    assert [*map(type, read.headers.values())] == [*map(type, message.headers.values())]


def read_back(lines: list[str]) -> list[Exported]:
    head, last = json.dumps({"format": FORMAT, "version": VERSION}), json.dumps({"messages": len(lines)})
    with NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write("\n".join([head, *lines, last]))
        file.flush()
        return list(read_export(Path(file.name)))


def test_what_the_broker_adds_to_a_delivery_is_left_out() -> None:
    headers = {"x-delivery-count": 4, "x-acquired-count": 4, "x-death": [{"count": Decimal(1)}]}
    assert set(Exported.of("k", b"", Basic.Properties(headers=headers)).headers) == {"x-death"}


@pytest.mark.parametrize(
    "text",
    [
        '{"routing_key":"k","properties":{},"headers":{}}',
        '{"routing_key":1,"properties":{},"headers":{},"text":""}',
        '{"routing_key":"k","properties":{"strange":1},"headers":{},"text":""}',
        '{"routing_key":"k","properties":{"priority":"high"},"headers":{},"text":""}',
        '{"routing_key":"k","properties":{},"headers":{},"base64":"?"}',
        '{"routing_key":"k","properties":{},"headers":{"a":{"$time":"yesterday"}},"text":""}',
        '{"routing_key":"k","properties":{},"headers":{"a":{"$decimal":"x"}},"text":""}',
        '{"routing_key":"k","properties":[],"headers":{},"text":""}',
        f'{{"routing_key":"k","properties":{{}},"headers":{{"a":{2**70}}},"text":""}}',
    ],
)
def test_a_line_that_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(NoExport, match="line 2 is no message"):
        read_back([text])
