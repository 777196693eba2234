"""Pictures of the documentation are records of real runs."""

import runpy
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lapidicom.cli.export import written

SCRIPT = Path(__file__).parents[3] / "scripts/picture.py"


def picture(monkeypatch: pytest.MonkeyPatch, file: Path, *command: str) -> int:
    monkeypatch.setattr("sys.argv", ["picture.py", "--width", "100", str(file), *command])
    status: int = runpy.run_path(str(SCRIPT))["main"]()
    return status


def test_a_picture_shows_the_command_and_what_it_printed_and_loads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, export = tmp_path / "pictures" / "import.svg", tmp_path / "letters.jsonl"
    with written(export):
        """No message."""
    assert picture(monkeypatch, file, "dlq", "import", str(export), "--dry-run") == 0
    text = "".join(ElementTree.parse(file).getroot().itertext()).replace("\xa0", " ")
    assert "$ lapidicom dlq import" in text
    assert "0 messages would be dead letters again" in text
    assert "@font-face" not in file.read_text()


def test_a_command_that_fails_ends_the_script_with_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert picture(monkeypatch, tmp_path / "nothing.svg", "dlq", "nonsense") == 2
