"""docs/messages.md tells what the models and the topology say."""

import re
from pathlib import Path

import pytest

from lapidicom.common.messages import InstanceStored, Message, SeriesReceived, SeriesSettling, SeriesStarted
from lapidicom.common.topology import topology

CONTRACT = (Path(__file__).parents[3] / "docs" / "messages.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return CONTRACT.split(f"## {title}")[1].split("\n## ")[0]


@pytest.mark.parametrize("model", [InstanceStored, SeriesStarted, SeriesReceived, SeriesSettling])
def test_each_field_of_a_message_is_in_its_table_and_no_other(model: type[Message]) -> None:
    text = section(f"{model.TYPE}, version {model.VERSION}")
    told = {name for row in re.findall(r"^\| (`.*?) \|", text, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert told == set(model.model_fields)
    assert f"`{model.ROUTING_KEY}`" in text


def test_each_queue_is_told_with_its_arguments() -> None:
    text = section("Topology")
    for queue in topology((7,), 7).queues:
        name = queue.name.replace("7s", "<s>s")
        row = next(line for line in text.splitlines() if line.startswith("|") and f"`{name}`" in line)
        if "as `lapidicom.dead-letters`" in row:
            row = next(line for line in text.splitlines() if line.startswith("| `lapidicom.dead-letters`"))
        for argument, value in queue.arguments.items():
            if argument == "x-queue-type":
                continue
            shown = "<s> x 1000" if argument == "x-message-ttl" else str(value)
            assert f"`{argument}: {shown}`" in row, (name, argument)
