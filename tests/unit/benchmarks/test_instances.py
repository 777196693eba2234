"""What the benchmarks send is what they say they send."""

import io

import pydicom
import pytest

from benchmarks.instances import LARGE, SERIES, SMALL, Kind, encode

COUNT = 44


@pytest.mark.parametrize("kind", [LARGE, SMALL], ids=lambda kind: kind.name)
def test_instances_are_readable_distinct_and_of_the_exact_size(kind: Kind) -> None:
    files = list(encode(kind, COUNT))
    assert {len(file) for file in files} == {kind.file_size}
    data_sets = [pydicom.dcmread(io.BytesIO(file)) for file in files]
    assert len({str(data_set.SOPInstanceUID) for data_set in data_sets}) == COUNT
    assert len({str(data_set.SeriesInstanceUID) for data_set in data_sets}) == SERIES
    numbers = {(str(d.SeriesInstanceUID), int(d.InstanceNumber)) for d in data_sets}
    assert len(numbers) == COUNT
    for data_set in data_sets:
        assert data_set.file_meta.MediaStorageSOPInstanceUID == data_set.SOPInstanceUID
        assert len(data_set.PixelData) == data_set.Rows * data_set.Columns * 2
        assert [element.tag for element in data_set] == sorted(element.tag for element in data_set)
        assert 60 <= len(data_set) <= 100
