"""An export's lines: what AMQP carries comes back with its types."""

import base64
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

from lapidicom.cli.errors import OperatorError
from lapidicom.cli.export import FORMAT, VERSION, Exported, NoExport, read_export, written
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
    assert (read.routing_key, read.body) == (message.routing_key, message.body)
    assert dict(read.properties) == dict(message.properties)
    before, after = message.properties.headers or {}, read.properties.headers or {}
    assert {name: type(value) for name, value in after.items()} == {
        name: type(value) for name, value in before.items()
    }


def read_back(lines: list[str]) -> list[Exported]:
    head, last = json.dumps({"format": FORMAT, "version": VERSION}), json.dumps({"messages": len(lines)})
    with NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write("\n".join([head, *lines, last]))
        file.flush()
        return list(read_export(Path(file.name)))


def test_what_the_broker_adds_to_a_delivery_is_left_out() -> None:
    headers = {"x-delivery-count": 4, "x-acquired-count": 4, "x-death": [{"count": Decimal(1)}]}
    exported = Exported.of("k", b"", Basic.Properties(headers=headers))
    assert set(exported.properties.headers or {}) == {"x-death"}
    assert "x-delivery-count" in headers


def test_people_can_read_headers_and_a_body_that_is_text() -> None:
    properties = Basic.Properties(
        headers={"reason": "refused", "raw": bytearray(b"\xff"), "cost": Decimal(2)}
    )
    fields = json.loads(Exported.of("k", '{"ü":1}'.encode(), properties).line())
    assert fields["headers"] == {"reason": "refused", "raw": r"bytearray(b'\xff')", "cost": "2"}
    assert (fields["routing_key"], fields["text"]) == ("k", '{"ü":1}')


WHOLE = json.loads(Exported.of("k", b"\xff", Basic.Properties(headers={"a": "b"}, message_type="t")).line())
FRAME = base64.b64decode(WHOLE["amqp"])


@pytest.mark.parametrize(
    "change",
    [
        {"amqp": None},
        {"amqp": "?"},
        {"amqp": base64.b64encode(FRAME[:5]).decode()},
        {"amqp": base64.b64encode(FRAME[:-5]).decode()},
        {"amqp": base64.b64encode(FRAME.replace(b"S", b"?")).decode()},
        {"base64": "?"},
        {"text": 1},
    ],
)
def test_a_line_that_is_no_message_is_refused(change: dict[str, Any]) -> None:
    assert read_back([json.dumps(WHOLE)])[0].body == b"\xff"
    with pytest.raises(NoExport, match="line 2 is no message"):
        read_back([json.dumps(WHOLE | change)])


@pytest.mark.parametrize("name", ["routing_key", "amqp", "base64"])
def test_a_line_that_lacks_something_is_refused(name: str) -> None:
    with pytest.raises(NoExport, match="line 2 is no message"):
        read_back([json.dumps({key: value for key, value in WHOLE.items() if key != name})])


def test_an_export_that_ends_early_leaves_no_file(tmp_path: Path) -> None:
    def export_and_interrupt() -> None:
        with written(tmp_path / "letters.jsonl") as add:
            add(Exported.of("k", b"", Basic.Properties()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_and_interrupt()
    assert list(tmp_path.iterdir()) == []


def test_of_a_folder_that_is_full_the_export_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OperatorError, match="cannot be written"), written(tmp_path / "letters.jsonl"):
        """No message."""
    assert list(tmp_path.iterdir()) == []
