"""What became of replayed messages, as one thing is learnt after another."""

from lapidicom.cli.replay.outcome import Outcomes


def test_what_came_back_waits_no_more_and_is_not_forgotten() -> None:
    outcomes = Outcomes(waiting={"a": "pa", "b": "pb"})
    outcomes.came_back({"a": "file-missing"})
    outcomes.came_back({})
    assert outcomes.waiting == {"b": "pb"}
    assert outcomes.reasons == {"file-missing": 1}


def test_all_is_good_when_none_waits_and_none_came_back() -> None:
    assert Outcomes(registered=3).are_good
    assert not Outcomes(waiting={"a": "p"}).are_good
    assert not Outcomes(returned={"a": "refused"}).are_good
