"""How to replace a queue or an exchange whose arguments differ, without losing a message. Pure.

Arguments cannot be changed: the queue must be emptied, deleted and declared anew. RabbitMQ deletes a
quorum queue with its messages and takes no `if-empty` for it, so each procedure looks first.
"""

from shlex import quote

from lapidicom.common.topology import AUDIT_QUEUE, DEAD_LETTER_QUEUE, REPLAY_QUEUE, WORK_QUEUE

_APPLY = "lapidicom topology apply"


def of_queue(queue: str, vhost: str) -> tuple[str, ...]:
    """The steps for a queue.

    Args:
        queue: its name.
        vhost: where it is.
    """
    delete = f"rabbitmqctl delete_queue --vhost {quote(vhost)} {queue}"
    match queue:
        case name if name == WORK_QUEUE:
            return (
                "stop all receivers; senders keep what they cannot send",
                "let the registrars go on until `lapidicom status` shows nothing at work and nothing delayed",
                "stop all registrars, and look again: still 0",
                delete,
                _APPLY,
                "start registrars, then receivers",
            )
        case name if name == DEAD_LETTER_QUEUE:
            return (
                "stop all registrars; receivers may go on",
                "lapidicom dlq export dead-letters.jsonl",
                "see that `lapidicom status` counts as many dead letters as the file has lines",
                delete,
                _APPLY,
                "lapidicom dlq import dead-letters.jsonl",
                "start the registrars",
            )
        case name if name == AUDIT_QUEUE:
            return ("lapidicom audit --limit 0 --json > audit.json, and keep that file", delete, _APPLY)
        case name if name == REPLAY_QUEUE:
            return (
                "see that no replay is under way, and none was interrupted: lapidicom dlq list",
                delete,
                _APPLY,
            )
        case _:
            return (
                "stop all registrars; receivers may go on",
                f"wait until {queue} is empty: its messages go back to the work queue by themselves",
                "see that `lapidicom status` shows nothing delayed and nothing held back",
                delete,
                _APPLY,
                "start the registrars",
            )


def of_exchange(exchange: str, vhost: str) -> tuple[str, ...]:
    """The steps for an exchange; its bindings go with it, those of the site too.

    Args:
        exchange: its name.
        vhost: where it is.
    """
    return (
        "stop all receivers and registrars; what is in queues stays there",
        f"note bindings of your own: rabbitmqctl list_bindings --vhost {quote(vhost)}",
        f"rabbitmqadmin --vhost={quote(vhost)} delete exchange name={exchange}",
        _APPLY,
        "start registrars, then receivers",
    )
