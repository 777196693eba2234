"""The workflows run what was looked at, and may no more than they need."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

WORKFLOWS = sorted((Path(__file__).parents[3] / ".github" / "workflows").glob("*.yml"))


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.name)
def workflow(request: pytest.FixtureRequest) -> Any:
    return yaml.safe_load(request.param.read_text(encoding="utf-8"))


def test_each_action_is_pinned_to_a_commit(workflow: Any) -> None:
    used = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action)] == []


def test_only_a_job_that_publishes_may_write(workflow: Any) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        publishes = any("cosign" in step.get("run", "") for step in job["steps"])
        assert ("permissions" in job) == publishes, name
        assert not publishes or job["permissions"] == {
            "contents": "read",
            "packages": "write",
            "id-token": "write",
        }


def test_each_job_ends(workflow: Any) -> None:
    assert all(job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())
