"""A plugin of pytest that records a run of the fault matrix: `--faults-record FILE` writes it as JSON.

What a test prints is its account: the ledger's lines, the seeds and the version of RabbitMQ are taken from
there, so that nothing else has to pass from the processes of a parallel run to the one that writes.
"""

import json
import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.support.fault_report import Run, Test
from tests.support.ledger import counts_of
from tests.support.seeds import is_large

OPTION = "--faults-record"
_SEED = re.compile(r"(.+): LAPIDICOM_SEED=(\d+)")
_BROKER = re.compile(r"RabbitMQ (\d\S*)")
_ORDER = ("passed", "skipped", "failed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option."""
    parser.addoption(OPTION, metavar="FILE", help="record the run for the report on faults")


def pytest_configure(config: pytest.Config) -> None:
    """Record, if told to, in the process that hears of every test."""
    file = config.getoption(OPTION)
    if file and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(Path(file)))


class Recorder:
    """Collects what the tests tell, and writes it at the end.

    Args:
        file: JSON.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._began = datetime.now(UTC)
        self._tests: dict[str, Test] = {}
        self._brokers: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A phase of a test has ended."""
        before = self._tests.get(report.nodeid, Test(report.nodeid))
        lines, seeds = dict(before.lines), dict(before.seeds)
        for line in report.capstdout.splitlines() if report.when == "call" else []:
            name, _, text = line.partition(": ")
            counts = counts_of(text)
            if counts is not None:
                lines[name] = counts  # the last word on these SCUs
            elif match := _SEED.fullmatch(line):
                seeds[match[1]] = int(match[2])
        if report.when == "setup":
            self._brokers |= {
                match[1] for line in report.capstdout.splitlines() if (match := _BROKER.fullmatch(line))
            }
        self._tests[report.nodeid] = Test(
            report.nodeid,
            max(before.outcome, report.outcome, key=_ORDER.index),
            before.seconds + report.duration,
            lines,
            seeds,
        )

    def pytest_sessionfinish(self) -> None:
        """The run has ended."""
        run = Run(
            date=f"{self._began:%Y-%m-%d %H:%M} UTC",
            seconds=(datetime.now(UTC) - self._began).total_seconds(),
            size="large" if is_large() else "small",
            rabbitmq=", ".join(sorted(self._brokers)) or "the one at AMQP_URL",
            kind=os.environ.get("LAPIDICOM_RABBITMQ") or "",
            versions={
                "lapidicom": f"{version('lapidicom-receiver')} ({_commit()})",
                "Python": platform.python_version(),
                "Linux": platform.release().partition("-")[0],
            },
            file_system=_file_system(),
            tests=[self._tests[name] for name in sorted(self._tests)],
        )
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(run.to_json(), indent=1))


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "no repository"


def _file_system() -> str:
    """Of the folder where tests keep their files."""
    done = subprocess.run(
        ["stat", "--file-system", "--format", "%T", os.environ.get("TMPDIR") or "/tmp"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip().replace("ext2/ext3", "ext4")  # one number for all of them
