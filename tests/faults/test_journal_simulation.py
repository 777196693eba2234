"""Seeded histories of journal and relay on a disk that loses power.

The seeds are new in each run and printed; LAPIDICOM_SEED=n runs one history again.
"""

import os
import random

import pytest

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
    answered = sum(sum(one.answered is True for one in run_history(seed).instances) for seed in seeds)
    # A simulation in which hardly anything is stored proves nothing.
    assert len(seeds) == 1 or answered > 3 * len(seeds)
