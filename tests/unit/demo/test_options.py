"""The demo's options, and what it says of wrong ones."""

from pathlib import Path

import pytest

from demo.options import OptionError, read_options


def test_without_options_the_files_that_pydicom_ships_are_sent() -> None:
    options = read_options({})
    assert (options.data / "CT_small.dcm").exists()
    assert (options.calling_aet, options.files_root, options.keep) == ("DEMO", None, False)


def test_options_come_from_the_environment(tmp_path: Path) -> None:
    options = read_options(
        {
            "DATA": str(tmp_path),
            "FILES_ROOT": "root",
            "CALLING_AET": "MY PACS",
            "KEEP": "1",
            "AMQP_URL": "amqp://x",
            "CUBE": "6",
        }
    )
    assert options.data == tmp_path
    assert options.files_root == Path("root").resolve()
    assert (options.calling_aet, options.keep, options.amqp_url) == ("MY PACS", True, "amqp://x")
    assert (options.cube, read_options({}).cube) == (6, 5)


@pytest.mark.parametrize("aet", ["A" * 17, "A\\B", "Ä", " ", "A\tB"])
def test_what_is_no_ae_title_is_refused(aet: str) -> None:
    with pytest.raises(OptionError, match="CALLING_AET"):
        read_options({"CALLING_AET": aet})


def test_cube_is_one_of_two_generations() -> None:
    with pytest.raises(OptionError, match="CUBE='7' is neither 5 nor 6"):
        read_options({"CUBE": "7"})


def test_data_must_be_a_directory(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="DATA"):
        read_options({"DATA": str(tmp_path / "absent")})


@pytest.mark.parametrize("value", ["", "0", "no", "False"])
def test_keep_may_be_said_to_be_off(value: str) -> None:
    assert not read_options({"KEEP": value}).keep
