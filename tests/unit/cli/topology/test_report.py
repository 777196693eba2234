"""The comparison as values: differences, what may be declared, and how to migrate."""

import pytest

from lapidicom.cli.errors import NotVisible
from lapidicom.cli.topology.applying import missing_part
from lapidicom.cli.topology.migration import of_exchange, of_queue
from lapidicom.cli.topology.report import (
    Kind,
    Report,
    Row,
    State,
    binding_name,
    differences,
    left_over,
)
from lapidicom.common.topology import DEAD_LETTER_QUEUE, EXCHANGE, WORK_QUEUE, topology

DECLARED = topology((5,), 30)
WORK = DECLARED.queues[0]


def test_equal_arguments_have_no_differences() -> None:
    assert differences(WORK, "quorum", durable=True, arguments=WORK.arguments) == []


def test_each_argument_that_differs_is_named_with_both_values() -> None:
    arguments = WORK.arguments | {"x-delivery-limit": 7, "x-expires": 60000}
    del arguments["x-overflow"]
    assert differences(WORK, "quorum", durable=False, arguments=arguments) == [
        "not durable, declared durable",
        "x-delivery-limit is 7, declared 20",
        "x-expires is 60000, declared absent",
        "x-overflow is absent, declared reject-publish",
    ]


def test_a_classic_queue_differs_by_its_type() -> None:
    arguments = {name: value for name, value in WORK.arguments.items() if name != "x-queue-type"}
    assert differences(WORK, "classic", durable=True, arguments=arguments) == [
        "x-queue-type is classic, declared quorum"
    ]


def test_delay_queues_of_former_settings_are_left_over() -> None:
    names = [f"{WORK_QUEUE}.retry.{delay}s" for delay in (5, 30, 7)] + ["other", WORK_QUEUE]
    assert left_over(names, DECLARED, f"{WORK_QUEUE}.retry.") == [f"{WORK_QUEUE}.retry.7s"]


def report(*rows: Row) -> Report:
    return Report(rows, ())


def test_only_what_is_missing_is_declared() -> None:
    part = missing_part(
        DECLARED,
        report(
            Row(Kind.EXCHANGE, EXCHANGE, State.EQUAL),
            Row(Kind.QUEUE, DEAD_LETTER_QUEUE, State.MISSING),
            Row(Kind.BINDING, binding_name("lapidicom.dead-letter", "#", DEAD_LETTER_QUEUE), State.MISSING),
            Row(Kind.BINDING, binding_name(EXCHANGE, WORK_QUEUE, WORK_QUEUE), State.EQUAL),
        ),
    )
    assert part.exchanges == ()
    assert [queue.name for queue in part.queues] == [DEAD_LETTER_QUEUE]
    assert [(one.exchange, one.queue) for one in part.bindings] == [
        ("lapidicom.dead-letter", DEAD_LETTER_QUEUE)
    ]


def test_bindings_that_nobody_can_see_are_made_again_but_not_those_of_what_differs() -> None:
    rows = [
        Row(Kind.BINDING, binding_name(one.exchange, one.routing_key, one.queue), State.NOT_VISIBLE)
        for one in DECLARED.bindings
    ]
    part = missing_part(DECLARED, report(Row(Kind.QUEUE, WORK_QUEUE, State.DIFFERENT, "x"), *rows))
    assert WORK_QUEUE not in {one.queue for one in part.bindings}
    assert len(part.bindings) == sum(one.queue != WORK_QUEUE for one in DECLARED.bindings)


@pytest.mark.parametrize("state", [State.MISSING, State.DIFFERENT])
def test_what_is_missing_or_differs_is_not_sound(state: State) -> None:
    assert not report(Row(Kind.QUEUE, WORK_QUEUE, state)).is_sound


def test_what_is_not_visible_or_left_over_is_no_fault() -> None:
    rows = (Row(Kind.BINDING, "b", State.NOT_VISIBLE), Row(Kind.QUEUE, "q", State.LEFT_OVER))
    assert Report(rows, NotVisible("no API")).is_sound


@pytest.mark.parametrize("queue", [one.name for one in DECLARED.queues])
def test_a_queue_is_emptied_before_it_is_deleted_and_declared_anew(queue: str) -> None:
    steps = of_queue(queue, "chris")
    deleting = steps.index(f"rabbitmqctl delete_queue --vhost chris {queue}")
    assert deleting > 0
    assert steps[deleting + 1] == "lapidicom topology apply"


def test_a_virtual_host_is_quoted_for_the_shell() -> None:
    assert "--vhost=" + "'a b'" in of_exchange(EXCHANGE, "a b")[2]
