import pytest

from lapidicom.common.topology import topology
from lapidicom.registrar.consumer.retry import GiveUp, TryAgain, decide

DELAYS = (5, 30, 120, 600)


@pytest.mark.parametrize(
    ("spent", "retries", "delays", "retry_after", "expected"),
    [
        (0, 0, DELAYS, None, GiveUp(1)),
        (0, 1, DELAYS, None, TryAgain(1, 5)),
        (1, 1, DELAYS, None, GiveUp(2)),
        (0, 3, DELAYS, None, TryAgain(1, 5)),
        (1, 3, DELAYS, None, TryAgain(2, 30)),
        (2, 3, DELAYS, None, TryAgain(3, 120)),
        (3, 3, DELAYS, None, GiveUp(4)),
        (4, 3, DELAYS, None, GiveUp(5)),
        (99, 3, DELAYS, None, GiveUp(100)),
        (3, 9, DELAYS, None, TryAgain(4, 600)),
        (7, 9, DELAYS, None, TryAgain(8, 600)),
        (2, 9, (7,), None, TryAgain(3, 7)),
        (0, 9, (60, 5), None, TryAgain(1, 60)),
        (1, 9, (60, 5), None, TryAgain(2, 5)),
        (0, 3, DELAYS, 0.0, TryAgain(1, 5)),
        (0, 3, DELAYS, 5.0, TryAgain(1, 5)),
        (0, 3, DELAYS, 5.1, TryAgain(1, 20)),
        (0, 3, DELAYS, 21.0, TryAgain(1, 30)),
        (0, 3, DELAYS, 1e9, TryAgain(1, 600)),
        (3, 3, DELAYS, 100.0, GiveUp(4)),
    ],
)
def test_a_failed_attempt_is_followed_by_its_retry_or_the_end(
    spent: int,
    retries: int,
    delays: tuple[int, ...],
    retry_after: float | None,
    expected: TryAgain | GiveUp,
) -> None:
    decision = decide(
        spent,
        retries=retries,
        delays=delays,
        retry_after=retry_after,
        delay_for=topology(DELAYS, 20).delay_for,
    )
    assert decision == expected
