"""Draws the plots of the docs from .bench/results.json (`make plots`): nothing is measured here."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

RESULTS: Final = Path(".bench/results.json")
TARGET: Final = Path("docs/plots")

_OURS_COLOUR: Final = "#1b7f5c"
_PEER_COLOUR: Final = "#9aa5b1"
_KINDS: Final = ("512 KiB", "20 KB")

Entry = Mapping[str, Any]
Bars = Mapping[str, float]
"""Rates by the contender's name."""


def bars_of(entries: Sequence[Entry], measures: Mapping[str, str], unit: str) -> Bars:
    """The rates of all contenders of some measures.

    Args:
        entries: of the document.
        measures: which of them, and what our own bar is called in each.
        unit: of the rate.
    """
    bars: dict[str, float] = {}
    for entry in entries:
        if entry["unit"] == unit and entry["measure"] in measures:
            bars.setdefault(measures[entry["measure"]], entry["ours"])
            bars.setdefault(entry["peer_name"], entry["peer"])
    return bars


def draw(target: Path, title: str, panels: Mapping[str, Bars], unit: str, note: str) -> None:
    """Draw panels of horizontal bars, ours in green, into an SVG file."""
    shown = {name: bars for name, bars in panels.items() if bars}
    if not shown:
        return
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    height = 0.36 * max(map(len, shown.values())) + 0.9
    figure, axes = pyplot.subplots(rows, columns, figsize=(11, rows * height + 0.7), squeeze=False)
    for axis in axes.flat[len(shown) :]:
        axis.remove()
    for axis, (name, bars) in zip(axes.flat, shown.items(), strict=False):
        ordered = sorted(bars.items(), key=lambda bar: bar[1])
        names, rates = [bar[0] for bar in ordered], [bar[1] for bar in ordered]
        ours = [_OURS_COLOUR if one.startswith(("lapidicom", "N=")) else _PEER_COLOUR for one in names]
        drawn = axis.barh(names, rates, color=ours)
        axis.bar_label(drawn, labels=[f"{rate:,.0f}" for rate in rates], padding=3, fontsize=8)
        axis.set_title(name, fontsize=10, loc="left")
        axis.tick_params(labelsize=8)
        axis.margins(x=0.15)
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{title} ({unit})", fontsize=12)
    figure.text(0.01, 0.005, note, fontsize=7, color="#555555")
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    target.parent.mkdir(parents=True, exist_ok=True)
    # Neither date nor random ids: the same figures give the same file.
    figure.savefig(target, metadata={"Date": None})
    pyplot.close(figure)
    text = "\n".join(line.rstrip() for line in target.read_text().splitlines())
    target.write_text(f"{text}\n")
    print(target)


def main() -> int:
    """Draw what was measured; what was not is left as it is."""
    if not RESULTS.exists():
        print(f"{RESULTS} is missing: run make bench first", file=sys.stderr)
        return 1
    matplotlib.rcParams["svg.hashsalt"] = "lapidicom"
    entries: list[Entry] = json.loads(RESULTS.read_text())
    receive, path, registrar = (
        [entry for entry in entries if entry["measure"].startswith(bench)]
        for bench in ("receive ", "path ", "registrar")
    )
    draw(
        TARGET / "receive.svg",
        "Receiving without syncs, beside other SCPs",
        {
            row: bars_of(receive, {f"receive {row}": "lapidicom"}, "instances/s")
            for row in (f"{kind} x{associations}" for kind in _KINDS for associations in (1, 4))
        },
        "instances/s",
        _note(receive),
    )
    draw(
        TARGET / "default-storescu.svg",
        "dcmtk's storescu with its defaults (Nagle's algorithm on)",
        {
            f"{kind} x1": bars_of(
                receive, {f"receive {kind} x1, default storescu": "lapidicom"}, "instances/s"
            )
            for kind in _KINDS
        },
        "instances/s",
        _note(receive),
    )
    draw(
        TARGET / "path.svg",
        "The whole path as shipped, beside the bare loop of its system calls",
        {
            row: bars_of(
                path,
                {
                    f"path {row}": "lapidicom",
                    f"path {row}, RabbitMQ stopped": "lapidicom, RabbitMQ stopped",
                    f"path {row}, with registrar": "lapidicom, with registrar",
                },
                "instances/s",
            )
            for row in (f"{kind} x{associations}" for kind in _KINDS for associations in (1, 4, 16))
        },
        "instances/s",
        _note(path),
    )
    draw(
        TARGET / "registrar.svg",
        "One registrar",
        {
            "server answers at once": bars_of(
                registrar, {"registrar, server answers at once, N=4": "N=4"}, "registrations/s"
            ),
            "four at a time in 14 ms each": bars_of(
                registrar, {"registrar, four at a time in 14 ms each, N=8": "N=8"}, "registrations/s"
            ),
        },
        "registrations/s",
        _note(registrar),
    )
    return 0


def _note(entries: Sequence[Entry]) -> str:
    return f"{entries[0]['durability']}. Medians over interleaved rounds." if entries else ""


if __name__ == "__main__":
    sys.exit(main())
