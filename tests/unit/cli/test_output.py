import io
import json
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest

from lapidicom.cli.answers import HIDDEN, Answer, Display
from lapidicom.cli.output import Output
from lapidicom.cli.world import World


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _output(out: io.StringIO, err: io.StringIO | None = None, **options: Any) -> Output:
    environ = {"TERM": "xterm-256color", "COLUMNS": "60"} | options.pop("environ", {})
    return Output(World(environ, out, err or io.StringIO()), **options)


class Row(Answer):
    """A row."""

    id: str
    count: Annotated[int, Display(right=True, style="red")]
    text: str | None = None
    never: Annotated[str, HIDDEN] = "x"


class Whole(Answer):
    """An answer."""

    name: str = ""
    is_well: bool = False
    when: Annotated[datetime | None, Display("since", form=lambda when: f"{when:%Y}")] = None
    some: list[int] = []
    counts: dict[str, int] = {}
    rows: Annotated[list[Row], Display("")] = []

    def headline(self) -> list[str]:
        """Its first line."""
        return ["Whole"]


ROWS = [Row(id="a1", count=5), Row(id="b" * 300, count=12, text="x\x1b[2Jy\nz")]


def test_a_piped_table_is_padded_and_neither_cut_nor_wrapped() -> None:
    out = io.StringIO()
    _output(out).show(Whole(rows=ROWS))
    assert out.getvalue().splitlines()[1:] == [
        f"{'id':300}  count  text",
        f"{'a1':300}      5",
        f"{'b' * 300}     12  x [2Jy z",
    ]


def test_an_answer_is_its_headline_its_fields_and_its_tables_and_nothing_empty() -> None:
    out = io.StringIO()
    when = datetime(2026, 1, 2, tzinfo=UTC)
    _output(out).show(
        Whole(name="a\nb", is_well=True, when=when, some=[1, 2], counts={"x": 0}, rows=[ROWS[0]])
    )
    assert out.getvalue().splitlines() == [
        "Whole",
        "  name     a b",
        "  is well  yes",
        "  since    2026",
        "  some     1, 2",
        "counts",
        "  x  0",
        "id  count",
        "a1      5",
    ]


def test_a_terminal_gets_boxes_and_colours_but_no_control_characters_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = _Terminal()
    _output(out).show(Whole(rows=ROWS))
    assert "\x1b[31m" in out.getvalue()
    assert "─" in out.getvalue()
    assert "\x1b[2J" not in out.getvalue()


@pytest.mark.parametrize("options", [{"no_color": True}, {"environ": {"NO_COLOR": "1"}}])
def test_no_colour_means_none(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    out = _Terminal()
    _output(out, **options).show(Whole(rows=ROWS))
    assert "\x1b[3" not in out.getvalue()
    assert "a1" in out.getvalue()


def test_with_json_nothing_but_the_document_reaches_standard_output() -> None:
    out = _Terminal()
    output = _output(out, as_json=True)
    output.text("title")
    output.show(Whole(when=datetime(2026, 1, 2, tzinfo=UTC), name="Müller"))
    document = json.loads(out.getvalue())
    assert (document["when"], document["name"], document["rows"]) == ("2026-01-02T00:00:00Z", "Müller", [])
    assert "Müller" in out.getvalue()


def test_piped_there_is_no_progress_but_warnings() -> None:
    out, err = io.StringIO(), _Terminal()
    output = _output(out, err)
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


def test_a_document_is_json_whatever_the_terminal_knows() -> None:
    written = io.BytesIO()
    out = io.TextIOWrapper(written, encoding="ascii", write_through=True)
    Output(World({}, out, io.StringIO()), as_json=True).show(Row(id="Müller", count=1))
    assert json.loads(written.getvalue())["id"] == "Müller"
