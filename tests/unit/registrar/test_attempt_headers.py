import pytest

from lapidicom.common.headers import Header
from lapidicom.registrar.consumer.headers import History, Waiting, after_attempt, history, while_waiting
from lapidicom.registrar.cube.outcomes import Outcome, Verdict

FAILED = Verdict(Outcome.RETRY, "http_500", 500, '{"error":"x"}')


def test_the_first_failed_attempt_is_told_in_the_headers() -> None:
    assert after_attempt({"traceparent": "t"}, FAILED, 1, "2024-01-02T03:04:05+00:00", "r1") == {
        "traceparent": "t",
        "lapidicom-attempts": 1,
        "lapidicom-first-attempt": "2024-01-02T03:04:05+00:00",
        "lapidicom-last-attempt": "2024-01-02T03:04:05+00:00",
        "lapidicom-reason": "http_500",
        "lapidicom-http-status": 500,
        "lapidicom-answer": '{"error":"x"}',
        "lapidicom-registrar": "r1",
    }


def test_the_first_time_stays_and_nothing_of_an_older_answer_is_kept() -> None:
    first = after_attempt({}, FAILED, 1, "t1", "r1")
    second = after_attempt(first, Verdict(Outcome.RETRY, "no_answer"), 2, "t2", "r2")
    assert second == {
        "lapidicom-attempts": 2,
        "lapidicom-first-attempt": "t1",
        "lapidicom-last-attempt": "t2",
        "lapidicom-reason": "no_answer",
        "lapidicom-registrar": "r2",
    }


@pytest.mark.parametrize("value", [None, "3", -1, 0, 1.5, b"1"])
def test_a_malformed_count_of_attempts_is_none(value: str | float | bytes | None) -> None:
    assert history({"lapidicom-attempts": value}) == History()


SINCE = 1_704_164_645.25
WAITS: dict[str, Header] = {
    "traceparent": "t",
    "lapidicom-waiting-for": "http_403",
    "lapidicom-waiting-since": "2024-01-02T03:04:05.250+00:00",
    "lapidicom-refusals": 2,
}


def test_why_and_since_when_a_message_waits_goes_with_it() -> None:
    waiting = Waiting("http_403", SINCE, 2)
    assert while_waiting({"traceparent": "t"}, waiting) == WAITS
    assert history(WAITS) == History(waiting=waiting)
    assert while_waiting(WAITS, Waiting("not_yet_visible", SINCE)) == {
        "traceparent": "t",
        "lapidicom-waiting-for": "not_yet_visible",
        "lapidicom-waiting-since": "2024-01-02T03:04:05.250+00:00",
    }


def test_an_attempt_or_the_dead_letters_end_the_wait() -> None:
    assert history(after_attempt(WAITS, FAILED, 1, "t1", "r1")).waiting is None


@pytest.mark.parametrize("since", [None, 7, "yesterday", "", "9999999999999"])
def test_a_malformed_wait_is_none(since: str | int | None) -> None:
    assert history({**WAITS, "lapidicom-waiting-since": since}).waiting is None
