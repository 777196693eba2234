import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from lapidicom.cli.output import Column, Output
from lapidicom.cli.world import World


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _output(out: io.StringIO, err: io.StringIO | None = None, **options: Any) -> Output:
    environ = {"TERM": "xterm-256color", "COLUMNS": "60"} | options.pop("environ", {})
    return Output(World(environ, out, err or io.StringIO()), **options)


ROWS = [("a1", 5, None), ("b" * 300, 12, "x\x1b[2Jy\nz")]
COLUMNS = ["id", Column("count", right=True, style="red"), "text"]


def test_a_piped_table_is_padded_and_neither_cut_nor_wrapped() -> None:
    out = io.StringIO()
    _output(out).table(COLUMNS, ROWS)
    assert out.getvalue().splitlines() == [
        f"{'id':300}  count  text",
        f"{'a1':300}      5",
        f"{'b' * 300}     12  x [2Jy z",
    ]


def test_a_terminal_gets_boxes_and_colours_but_no_control_characters_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = _Terminal()
    _output(out).table(COLUMNS, ROWS)
    assert "\x1b[31m" in out.getvalue()
    assert "─" in out.getvalue()
    assert "\x1b[2J" not in out.getvalue()


@pytest.mark.parametrize("options", [{"no_color": True}, {"environ": {"NO_COLOR": "1"}}])
def test_no_colour_means_none(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    out = _Terminal()
    output = _output(out, **options)
    output.table(COLUMNS, ROWS)
    output.text("bad", "red")
    assert "\x1b[3" not in out.getvalue()
    assert "bad" in out.getvalue()


def test_with_json_nothing_but_the_document_reaches_standard_output() -> None:
    out = _Terminal()
    output = _output(out, as_json=True)
    output.text("title")
    output.table(COLUMNS, ROWS)
    output.fields([("a", 1)])
    output.note("beside")
    output.document({"when": datetime(2026, 1, 2, tzinfo=UTC), "name": "Müller"})
    assert json.loads(out.getvalue()) == {"when": "2026-01-02T00:00:00+00:00", "name": "Müller"}
    assert "Müller" in out.getvalue()


def test_fields_leave_out_what_is_not_known() -> None:
    out = io.StringIO()
    _output(out).fields([("id", "a"), ("answer", None), ("reason", "b\nc")])
    assert out.getvalue() == "  id      a\n  reason  b c\n"


def test_piped_there_are_no_notes_and_no_progress_but_warnings() -> None:
    out, err = io.StringIO(), _Terminal()
    output = _output(out, err)
    output.note("beside")
    with output.progress("replaying", 10) as advance:
        advance(5)
    assert (out.getvalue(), err.getvalue()) == ("", "")
    output.warn("something\nhappened")
    assert err.getvalue() == "something happened\n"


def test_at_a_terminal_progress_is_on_standard_error() -> None:
    out, err = _Terminal(), _Terminal()
    with _output(out, err).progress("replaying", 10) as advance:
        advance(10)
    assert out.getvalue() == ""
    assert "replaying" in err.getvalue()


def test_what_is_no_json_is_a_fault() -> None:
    with pytest.raises(TypeError):
        _output(io.StringIO()).document({"bad": {1, 2}})


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_document_is_json_whatever_stands_in_a_message_and_the_terminal_knows(encoding: str) -> None:
    written = io.BytesIO()
    out = io.TextIOWrapper(written, encoding=encoding, write_through=True)
    Output(World({}, out, io.StringIO()), as_json=True).document({"half": "\ud800", "name": "Müller"})
    assert json.loads(written.getvalue()) == {"half": "\ud800", "name": "Müller"}


def test_half_a_surrogate_pair_does_not_break_a_line() -> None:
    out = io.StringIO()
    _output(out).fields([("name", "a\ud800b")])
    assert out.getvalue() == "  name  a b\n"
