"""The time of receipt is what datetime says, however the clock moves."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from lapidicom.receiver.association.time_of_receipt import TimeOfReceipt


@given(st.lists(st.integers(0, 4_000_000_000_000_000), min_size=1, max_size=5))
def test_it_is_the_time_of_each_call(microseconds: list[int]) -> None:
    times = iter(microseconds)
    receipt = TimeOfReceipt(lambda: next(times) * 1000)
    for one in microseconds:
        said = datetime.fromisoformat(receipt.now().decode())
        seconds, rest = divmod(one, 1_000_000)
        expected = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000 * 1000)
        assert said == expected


def test_it_has_the_form_of_all_times_in_records() -> None:
    at = datetime(2024, 1, 31, 10, 11, 12, 5000, UTC)
    receipt = TimeOfReceipt(lambda: int(at.timestamp() * 1000) * 1_000_000)
    assert receipt.now() == at.isoformat(timespec="milliseconds").encode()
