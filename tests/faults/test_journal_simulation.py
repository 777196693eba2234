"""Seeded histories of journal and relay on a disk that loses power.

The seeds are new in each run and printed; LAPIDICOM_SEED=n runs one history again.
"""

import os
import random

import pytest

from lapidicom.receiver.relay.behind_mark import StoredFiles
from tests.support.journal_history import run_history

HISTORIES = {"small": 400, "large": 20_000}[os.environ.get("LAPIDICOM_TEST_SIZE", "small")]
PARTS = 4


@pytest.fixture
def seeds() -> range:
    seed = os.environ.get("LAPIDICOM_SEED")
    if seed is not None:
        return range(int(seed), int(seed) + 1)
    first = random.SystemRandom().randrange(1 << 48)
    return range(first, first + HISTORIES // PARTS)


@pytest.mark.parametrize("part", range(1, PARTS + 1))
def test_no_history_loses_what_was_answered_or_publishes_too_early(seeds: range, part: int) -> None:
    print(f"part {part} of {PARTS}: seeds {seeds.start} to {seeds.stop - 1}")
    answered = _run_histories(seeds)
    # A simulation in which hardly anything is stored proves nothing.
    assert len(seeds) == 1 or answered > 3 * len(seeds)


def test_the_histories_find_out_a_relay_that_looks_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    look = StoredFiles.__init__

    def look_once(files: StoredFiles, *args: object, directory_cache: float) -> None:
        del directory_cache
        look(files, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(StoredFiles, "__init__", look_once)
    with pytest.raises(AssertionError, match="lost"):
        _run_histories(range(1_000))


def _run_histories(seeds: range) -> int:
    """How many instances were answered in them."""
    return sum(sum(one.answered is True for one in run_history(seed).instances) for seed in seeds)
