"""The recorder hears every test of a parallel run, and writes what they printed."""

import json
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]

TESTS = """
import pytest

LINE = (
    "attempted 2, acknowledged {n}, registered 2, dead-lettered 0, lost 0, duplicated 0, "
    "repeated 0, recovered 0, unexpected 0; byte-equal 2, sent 2 times in 1 associations"
)

@pytest.fixture(scope="session")
def broker():
    print("RabbitMQ 3.10.8")

def test_one(broker):
    print("one-0: LAPIDICOM_SEED=17")
    print("A, B: " + LINE.format(n=1))
    print("A, B: " + LINE.format(n=2))

def test_two():
    assert False

def test_three():
    pytest.skip("not here")
"""


def test_outcomes_ledgers_seeds_and_broker_are_recorded(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    record = tmp_path / "records" / "run.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-n", "2", "-p", "tests.support.fault_recorder"),
            *("-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", "/dev/null"),
            *("--faults-record", str(record), str(tmp_path)),
        ],
        cwd=REPOSITORY,
        env=os.environ | {"LAPIDICOM_TEST_SIZE": "small", "LAPIDICOM_RABBITMQ": "package"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    run = json.loads(record.read_text())
    assert (run["rabbitmq"], run["kind"], run["size"]) == ("3.10.8", "package", "small")
    one, three, two = run["tests"]
    assert [test["outcome"] for test in (one, two, three)] == ["passed", "failed", "skipped"]
    assert one["seeds"] == {"one-0": 17}
    assert one["lines"]["A, B"]["acknowledged"] == 2
