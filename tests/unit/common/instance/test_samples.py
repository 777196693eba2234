"""The sample series of oxidicom's own integration test, when they are at hand beside the repository."""

from pathlib import Path

import pytest
from pydicom.filereader import read_file_meta_info

from lapidicom.common.instance.charset import decode
from lapidicom.common.instance.header import HeaderScanner
from lapidicom.common.instance.path import file_name, pacs_name, series_folder
from lapidicom.common.instance.tags import check
from tests.support.data_sets import data_set_bytes

SAMPLES = Path(__file__).parents[5] / "shared" / "data"
EXPECTED = SAMPLES / "expected_files.txt"


@pytest.mark.skipif(not EXPECTED.is_file(), reason="the sample series are not beside the repository")
def test_the_sample_instances_get_the_paths_that_oxidicom_gives_them() -> None:
    pacs = pacs_name("OXITESTORTHANC")
    scanners: dict[str, HeaderScanner] = {}
    paths = set()
    for file in SAMPLES.rglob("*.dcm"):
        syntax = str(read_file_meta_info(file).TransferSyntaxUID)
        scanner = scanners.setdefault(syntax, HeaderScanner(syntax))
        scanner.start(data_set_bytes(file)[:131072])
        tags = decode(scanner.finish())
        check(tags)
        paths.add(f"{series_folder(pacs, tags)}/{file_name(tags)}")
    assert len(paths) == 576
    assert paths == set(EXPECTED.read_text().split())
