"""Renders recorded runs of the fault matrix as one page of Markdown.

`python -m tests.support.fault_report RECORD.json... > report.md`
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.support.ledger import COUNTS


@dataclass(frozen=True)
class Test:
    """What came of a test.

    Attributes:
        name: its node id.
        outcome: passed, skipped or failed.
        seconds: of all its phases.
        lines: the ledger's numbers, by the SCUs that they are about.
        seeds: by the name of the round.
    """

    __test__ = False  # for pytest: this is none

    name: str
    outcome: str = "passed"
    seconds: float = 0.0
    lines: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    seeds: Mapping[str, int] = field(default_factory=dict)

    def total(self, word: str) -> int:
        """A number of the ledger over all rounds."""
        return sum(line[word] for line in self.lines.values())

    @property
    def sentence(self) -> str:
        """The name as one reads it."""
        _, _, name = self.name.partition("::")
        words, _, case = name.removeprefix("test_").partition("[")
        return words.replace("_", " ") + (f" ({case.rstrip(']')})" if case else "")

    @property
    def file(self) -> str:
        """Where it stands."""
        return self.name.partition("::")[0].removeprefix("tests/")


@dataclass(frozen=True)
class Run:
    """One run of the matrix on one RabbitMQ.

    Attributes:
        date: of its beginning.
        seconds: it took.
        size: small or large.
        rabbitmq: version.
        kind: container or package, where one was asked for.
        versions: of what else took part.
        file_system: of CUBE's storage root.
        tests: all of them.
    """

    date: str
    seconds: float
    size: str
    rabbitmq: str
    kind: str
    versions: Mapping[str, str]
    file_system: str
    tests: Sequence[Test]

    def to_json(self) -> dict[str, Any]:
        """For `of_json`."""
        return asdict(self)

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        return cls(**{**values, "tests": [Test(**one) for one in values["tests"]]})

    def outcomes(self) -> str:
        """How many tests passed, were skipped and failed."""
        found = [one.outcome for one in self.tests]
        return ", ".join(f"{found.count(word)} {word}" for word in ("passed", "skipped", "failed"))


def render(runs: Sequence[Run]) -> str:
    """The page."""
    return "\n".join(_page(runs)) + "\n"


_HEAD = """\
# Report of `make faults`

Real SCUs, receiver, RabbitMQ and registrar, and a stand-in for CUBE. The faults, and how each guarantee is
kept, stand in [guarantees](guarantees.md). *Lost*: answered with success, and neither registered nor a dead
letter. *Duplicated*: CUBE registered one instance twice: a second row, or a second answer 201. *Repeated*:
CUBE was asked again for what it had registered, and refused: delivery is at least once, and CUBE makes it
exactly once. Where no fault excuses a repetition the stand-in does not refuse it: it would be a duplicate.
*Recovered*: registered, although the SCU was never told success.
"""


def _page(runs: Sequence[Run]) -> Iterator[str]:
    yield _HEAD
    yield _row("RabbitMQ", "tests", *COUNTS)
    yield _row("---", "---", *("---:" for _ in COUNTS))
    for run in runs:
        totals = (sum(one.total(word) for one in run.tests) for word in COUNTS)
        yield _row(run.rabbitmq, run.outcomes(), *totals)
    for run in runs:
        yield from _run(run)


def _run(run: Run) -> Iterator[str]:
    versions = ", ".join(f"{name} {number}" for name, number in run.versions.items())
    yield ""
    yield f"## RabbitMQ {run.rabbitmq}{f' ({run.kind})' if run.kind else ''}"
    yield ""
    yield f"{run.date}, {run.size} form, {run.seconds / 60:.0f} min; {versions};"
    yield f"CUBE's storage root on {run.file_system}."
    yield ""
    yield _row("test", "rounds", *COUNTS, "seconds")
    yield _row("---", *("---:" for _ in COUNTS), "---:", "---:")
    for one in run.tests:
        if one.lines:
            numbers = (one.total(word) for word in COUNTS)
            yield _row(_name(one), len(one.lines), *numbers, round(one.seconds))
    others = Counter(_name(one).partition(" (")[0] for one in run.tests if not one.lines)
    if others:
        yield ""
        yield "Without a ledger of their own:"
        yield ""
    for name, cases in others.items():
        yield f"- {name}" + (f" ({cases} cases)" if cases > 1 else "")
    seeds = [(one.sentence, one.seeds.values()) for one in run.tests if one.seeds]
    if seeds:
        yield ""
        yield "<details><summary>Seeds: LAPIDICOM_SEED=n gives a round again</summary>"
        yield ""
        yield from (f"- {sentence}: {', '.join(map(str, numbers))}" for sentence, numbers in seeds)
        yield ""
        yield "</details>"


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _name(test: Test) -> str:
    failed = "" if test.outcome == "passed" else f"**{test.outcome}**: "
    return f"{failed}{test.sentence}"


def main() -> None:
    """Print the page of the records that the arguments name."""
    records = [Path(name) for name in sys.argv[1:]]
    print(render([Run.of_json(json.loads(record.read_text())) for record in records]), end="")


if __name__ == "__main__":
    main()
