"""Which generation of CUBE is this? Told by the links at the root of its API, without a login."""

from enum import Enum
from typing import Final

from lapidicom.registrar.cube.replies import Answer, Reply


class Generation(Enum):
    """What one POST registers there."""

    PER_FILE = "CUBE up to v5"
    PER_SERIES = "CUBE v6 or later"
    UNKNOWN = "unknown"


UNITS: Final = {"instance": Generation.PER_FILE, "series": Generation.PER_SERIES}
"""Values of REGISTRATION_UNIT, each with the generation that it is for."""


def generation(reply: Reply) -> Generation:
    """Read the answer to `GET <CHRIS_URL>`.

    The link `pacsfiles` alone tells nothing: v6 has it too, for reading.
    """
    if not isinstance(reply, Answer) or reply.status != 200:
        return Generation.UNKNOWN
    links = reply.fields.get("collection_links")
    if not isinstance(links, dict):
        return Generation.UNKNOWN
    if "pacsseries" in links:
        return Generation.PER_SERIES
    return Generation.PER_FILE if "pacsfiles" in links else Generation.UNKNOWN
