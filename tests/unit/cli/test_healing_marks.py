"""Series whose healing was not finished, as `status` and `doctor` see them."""

import time
from pathlib import Path

from lapidicom.cli.answers import Result
from lapidicom.cli.volume import check_healing


def test_a_mark_that_is_older_than_an_hour_is_a_finding(tmp_path: Path) -> None:
    assert check_healing(tmp_path, time.time()) == []
    mark = tmp_path / "healing/CT1/1.2.3"
    mark.parent.mkdir(parents=True)
    mark.touch()
    assert check_healing(tmp_path, time.time() + 3500) == []
    (found,) = check_healing(tmp_path, time.time() + 3700)
    assert found.result is Result.DEGRADED
    assert "1.2.3 from CT1" in found.seen
    assert "lapidicom heal" in found.remedy
