"""PatientAge as a number of days, as CUBE wants it."""

import re

_AGE = re.compile(r"([0-9]{1,9})([DWMY])")
_DAYS = {"D": 1.0, "W": 7.0, "M": 30.44, "Y": 365.24}


def age_in_days(text: str) -> int | None:
    """Convert an age string (VR AS, PS3.5 table 6.2-1: `030Y`) to days, rounded half up.

    Also takes ages of other than three digits (`2W`), which are common.

    Returns:
        The days, or None for what cannot be read (no unit, say): the caller warns and leaves it out.
    """
    match = _AGE.fullmatch(text.strip())
    if match is None:
        return None
    return int(int(match[1]) * _DAYS[match[2]] + 0.5)
