"""Headers of a replayed message, and what a registrar makes of them when it fails again."""

from datetime import UTC, datetime
from typing import Any

from lapidicom.cli.dead_letters.letter import read_letter
from lapidicom.cli.replay import headers as names
from lapidicom.cli.replay.headers import replay_of, replayed
from lapidicom.registrar.consumer import headers as told
from lapidicom.registrar.consumer.headers import after_attempt, history
from lapidicom.registrar.cube.outcomes import Outcome, Verdict
from tests.support.letters import letter, properties

NOW = "2026-11-24T03:00:00.000+00:00"
LATER = "2026-11-24T04:00:00.000+00:00"


def test_attempts_start_anew_and_the_first_attempt_is_remembered() -> None:
    died = datetime(2026, 11, 1, tzinfo=UTC)
    headers = replayed(letter(attempts=4, died=died), "r1", NOW)
    assert history(headers).attempts == 0
    assert history(headers).first == died.isoformat(timespec="milliseconds")
    assert not {told.REASON, told.HTTP_STATUS, told.ANSWER, told.LAST_ATTEMPT, told.REGISTRAR} & set(headers)


def test_what_had_happened_goes_along() -> None:
    headers = replayed(letter(1, "refused: path", 400, attempts=4), "r1", NOW, ("Modality",))
    assert headers[names.FORMER_REASON] == "refused: path"
    assert headers[names.FORMER_STATUS] == 400
    assert headers[names.FORMER_ATTEMPTS] == 4
    assert headers[names.REPLAYED_AT] == NOW
    assert (headers[names.REPLAY], headers[names.REPLAYS]) == ("r1", 1)
    assert headers[names.EDITED] == "Modality"


def test_a_registrar_keeps_the_replays_headers_when_the_message_fails_again() -> None:
    sent = replayed(letter(1, "refused: path", attempts=4), "r1", NOW, ("Modality",))
    failed = after_attempt(sent, Verdict(Outcome.PERMANENT, "file-missing"), 1, LATER, "registrar-1")
    assert (replay_of(failed), failed[names.REPLAYS]) == ("r1", 1)
    assert (failed[told.REASON], failed[told.ATTEMPTS]) == ("file-missing", 1)
    assert failed[names.FORMER_REASON] == "refused: path"
    again = replayed(read_letter(b"{}", properties(dict(failed))), "r2", LATER, ("AccessionNumber",))
    assert (replay_of(again), again[names.REPLAYS]) == ("r2", 2)
    assert again[names.FORMER_ATTEMPTS] == 5
    assert again[names.FORMER_REASON] == "file-missing"
    assert names.FORMER_STATUS not in again
    assert again[names.EDITED] == "AccessionNumber,Modality"


def test_the_brokers_headers_and_what_cannot_be_published_stay_behind() -> None:
    found: dict[str, Any] = {"x-death": [{"queue": "q"}], "x-delivery-count": 3, "raw": b"\xff", "ours": 1}
    headers = replayed(read_letter(b"{}", properties(found)), "r1", NOW)
    assert headers["ours"] == 1
    assert not {"x-death", "x-delivery-count", "raw"} & set(headers)


def test_malformed_counts_begin_at_nothing() -> None:
    found = {names.REPLAYS: "many", names.FORMER_ATTEMPTS: -3, names.EDITED: 7}
    headers = replayed(read_letter(b"{}", properties(found)), "r1", NOW)
    assert (headers[names.REPLAYS], headers[names.FORMER_ATTEMPTS]) == (1, 0)
    assert replay_of({names.REPLAY: 5}) == ""
