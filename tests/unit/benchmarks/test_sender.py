"""The sender deals files out so that every association has some."""

import pytest

from benchmarks.sender import shares


@pytest.mark.parametrize(("count", "associations"), [(120, 16), (16, 16), (17, 4), (5, 1)])
def test_every_association_gets_a_block_and_no_file_is_sent_twice(count: int, associations: int) -> None:
    blocks = shares(count, associations)
    assert len(blocks) == associations
    assert [index for block in blocks for index in block] == list(range(count))
    assert max(map(len, blocks)) - min(map(len, blocks)) <= 1
    assert min(map(len, blocks)) > 0
