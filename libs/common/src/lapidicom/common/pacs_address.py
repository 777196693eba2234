"""Where PACS can be asked (CHRIS_PACS_ADDRESS), in the forms of oxidicom. Pure.

Version 1 takes `BCH=1.2.3.4:4242,MGH=pacs.example.org:104`, later ones `{BCH="1.2.3.4:4242"}`. The name
before the equals sign is the AE title with which the PACS calls us; it is called by the same one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lapidicom.common.instance.errors import PathError
from lapidicom.common.instance.path import pacs_name

_ADDRESS: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/@\s]+)):([0-9]{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class PacsAddress:
    """Where a PACS answers C-FIND.

    Attributes:
        ae_title: of the PACS.
        host: name or address.
        port: TCP.
    """

    ae_title: str
    host: str
    port: int


def parse_pacs_addresses(text: str) -> Mapping[str, PacsAddress]:
    """The PACS of a setting, by their names in paths (`pacs_name`). Blanks and a last comma do not matter.

    Raises:
        ValueError: a part is no AE title with an address, or two of them have one name in paths.
    """
    found: dict[str, PacsAddress] = {}
    inner = text.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1]
    for part in filter(None, (one.strip() for one in inner.split(","))):
        address = _parse(part)
        try:
            name = pacs_name(address.ae_title)
        except PathError as error:
            raise ValueError(f"{part!r}: {error}") from error
        if name in found:
            raise ValueError(f"{part!r}: this PACS is given twice")
        found[name] = address
    return found


def _parse(part: str) -> PacsAddress:
    title, _, place = (one.strip().strip('"').strip() for one in part.partition("="))
    match = _ADDRESS.fullmatch(place)
    if match is None or not title or not title.isascii() or "\\" in title:
        raise ValueError(f"{part!r} is not like AETITLE=host:port")
    port = int(match[3])
    if not 1 <= port <= 65535:
        raise ValueError(f"{part!r}: there is no port {port}")
    return PacsAddress(title, match[1] or match[2], port)
