from lapidicom.registrar.readiness import Readiness


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def ready(clock: Clock) -> Readiness:
    readiness = Readiness(park_seconds=30, parking_seconds=120, clock=clock, cube=None, consuming=True)
    readiness.publishing = lambda: True
    assert readiness.reasons() == []
    return readiness


def test_each_hindrance_is_a_reason() -> None:
    readiness = Readiness()
    assert readiness.reasons() == ["CUBE: not yet asked", "RabbitMQ: no connection to publish on"]
    readiness.cube, readiness.stopping = None, True
    readiness.volume = lambda: "our mount does not answer"
    readiness.open_for = lambda: "file-missing"
    told = readiness.reasons()
    assert len(told) == 5
    assert [
        words
        for words in ("(file-missing)", "our mount", "not consuming", "publish", "shutting")
        if not any(words in reason for reason in told)
    ] == []


def test_messages_parked_for_minutes_without_a_success_are_a_reason_that_says_whose_fault_it_is() -> None:
    clock = Clock()
    readiness = ready(clock)
    for _ in range(4):
        readiness.parked("not_yet_visible")
        assert readiness.reasons() == []
        clock.now += 30
    readiness.parked("not_yet_visible")
    (reason,) = readiness.reasons()
    assert "CUBE does not find files that are on our mount" in reason
    readiness.registered()
    assert readiness.reasons() == []


def test_parkings_that_are_over_are_no_reason_any_more() -> None:
    clock = Clock()
    readiness = ready(clock)
    readiness.parked("refused: StudyDate")
    clock.now += 120
    readiness.parked("refused: StudyDate")
    assert readiness.reasons() == []  # 120 s after the first one, which had long come back: a new beginning
    for _ in range(5):
        clock.now += 30
        readiness.parked("refused: StudyDate")
    assert readiness.reasons() == ["no registration succeeds: refused: StudyDate"]
    clock.now += 71
    assert readiness.reasons() == []


def test_messages_of_unknown_formats_leave_it_ready_and_degraded_as_long_as_they_come() -> None:
    clock = Clock()
    readiness = ready(clock)
    readiness.met_unknown_format("InstanceStored", 2)
    readiness.met_unknown_format("DOE^JANE", 1)
    first, second = readiness.degraded()
    assert "InstanceStored version 2" in first
    assert "? version 1" in second
    assert readiness.reasons() == []
    clock.now += 71
    assert readiness.degraded() == []


def test_no_more_unknown_formats_are_kept_than_fit_a_screen() -> None:
    readiness = ready(Clock())
    for number in range(1000):
        readiness.met_unknown_format("InstanceStored", number)
    assert len(readiness.degraded()) == 10


def test_a_volume_that_no_receiver_has_used_is_degraded() -> None:
    readiness = ready(Clock())
    readiness.unclaimed = lambda: "no receiver has used the volume yet"
    assert readiness.degraded() == ["no receiver has used the volume yet"]
