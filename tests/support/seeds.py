"""Sizes of the tests that take random choices, and the seeds of these choices."""

import os
import random
import zlib


def is_large() -> bool:
    """Whether LAPIDICOM_TEST_SIZE=large: more rounds of everything that is random."""
    return os.environ.get("LAPIDICOM_TEST_SIZE", "small") == "large"


def rounds(small: int, large: int) -> range:
    """The rounds of a test, by LAPIDICOM_TEST_SIZE."""
    return range(large if is_large() else small)


def examples(large: int) -> int:
    """The examples of a property, by LAPIDICOM_TEST_SIZE: a fifth of the large size at the small one."""
    return large if is_large() else max(20, large // 5)


def seeded(name: str) -> random.Random:
    """A source of random choices; its seed is printed, and LAPIDICOM_SEED=n gives the same one again.

    Args:
        name: of the test and its round: two with one LAPIDICOM_SEED must not choose alike.
    """
    given = os.environ.get("LAPIDICOM_SEED")
    seed = int(given) if given else random.SystemRandom().randrange(1 << 48)
    print(f"{name}: LAPIDICOM_SEED={seed}")
    return random.Random(seed ^ zlib.crc32(name.encode()))
