from lapidicom.common.broker import Backoff


def test_pauses_double_up_to_the_longest_and_are_jittered_in_their_upper_half() -> None:
    for _ in range(50):
        backoff = Backoff(1, 30)
        for full in (1, 2, 4, 8, 16, 30, 30, 30):
            assert full / 2 <= backoff.next() <= full


def test_after_a_success_pauses_are_short_again() -> None:
    backoff = Backoff(1, 30)
    for _ in range(100):
        backoff.next()
    backoff.reset()
    assert backoff.next() <= 1


def test_two_processes_do_not_come_back_at_the_same_moment() -> None:
    assert len({Backoff(1, 30).next() for _ in range(20)}) > 10
