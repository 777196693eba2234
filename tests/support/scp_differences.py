"""Where pynetdicom's SCP and dcmtk's storescp say something else to the same bytes, and why ours does not.

Keys are the names of the scripts in `byte_scripts`. Source and reason of an A-ABORT are not compared between
SCPs: PS3.8 table 9-26 leaves much of their choice to the provider. A peer may always say what ours says.
"""

from dataclasses import dataclass
from typing import Final

_BOTH = "AC 1:0/1.2.840.10008.1.2 3:0/1.2.840.10008.1.2"
_TURNED = "AC 3:0/1.2.840.10008.1.2 1:0/1.2.840.10008.1.2"
_ECHO = "AC 1:0/1.2.840.10008.1.2"
_STORED = (_BOTH, "C-STORE-RSP 1 0000", "C-ECHO-RSP 99 0000", "RP")
_ABORTED = (_BOTH, "ABORT")


@dataclass(frozen=True, slots=True)
class Difference:
    """What another SCP says.

    Attributes:
        theirs: its words.
        reason: why ours says something else: the section of the standard, or of our own rules.
    """

    theirs: tuple[str, ...]
    reason: str


_D = Difference

PYNETDICOM: Final = {
    "the first transfer syntax wins": _D(
        (_ECHO, "RP"), "PS3.8 9.3.3.2 leaves the choice to the acceptor; ours is the SCU's first: what it has"
    ),
    "a private transfer syntax beside a good one": _D(
        ("AC 3:0/1.2.840.10008.1.2.1 1:4", "RP"), "the order of the results is free; ours is the request's"
    ),
    "a query class beside storage": _D(
        (f"AC 3:0/{'1.2.840.10008.1.2'} 1:3", "RP"), "the order of the results is free; ours is the request's"
    ),
    "a private SOP class": _D(("AC 1:3", "RP"), "our promiscuous default: what is unknown may be storage"),
    "a context without transfer syntaxes": _D(
        ("silent",), "PS3.8 7.1.1.13: each context gets its own result; pynetdicom's thread dies"
    ),
    "an unknown user information sub-item": _D(
        ("ABORT",), "PS3.8 D.2: unrecognized sub-items are ignored; pynetdicom raises KeyError"
    ),
    "an unknown item": _D(("ABORT",), "ignored as unrecognized sub-items are (PS3.8 D.2)"),
    "protocol version 1 among others": _D(("RJ 1/2/2",), "PS3.8 9.3.2: only bit 0 is tested"),
    "a calling AE title of blanks": _D(("ABORT",), "real devices send it; ours calls it UNKNOWN"),
    "a calling AE title padded with NULs": _D(("ABORT",), "real devices send it; ours trims NULs"),
    "a calling AE title in Latin-1": _D(("ABORT",), "real devices send it; ours sanitises it for the path"),
    "a calling AE title of dots": _D((_ECHO, "closed"), "it would name a folder of the storage root"),
    "another application context": _D((_ECHO, "closed"), "PS3.8 table 9-21: reason 2 exists for it"),
    "no application context": _D((_ECHO, "closed"), "PS3.8 9.3.2: the item is mandatory"),
    "no presentation context": _D(("AC ", "closed"), "PS3.8 9.3.2: one or more are mandatory"),
    "an even context id": _D(("silent",), "PS3.8 9.3.2.2: ids are odd; pynetdicom's thread dies"),
    "a context id twice": _D((_BOTH, "RP"), "PS3.8 7.1.1.13: an id names one context; which, nobody knows"),
    "two abstract syntaxes": _D((_BOTH, "RP"), "PS3.8 9.3.2.2: only one may be there"),
    "no abstract syntax": _D(("silent",), "a malformed context is refused alone; pynetdicom's thread dies"),
    "an abstract syntax of 70 characters": _D(("ABORT",), "a malformed context is refused alone"),
    "data behind a release": _D(
        _ABORTED, "PS3.8 table 9-10, Sta13 and Evt10: AA-6, ignored; a race there: it has not yet answered"
    ),
    "a P-DATA-TF without a PDV": _D((_BOTH, "silent"), "PS3.8 9.3.5: one or more are mandatory"),
    "a C-FIND to a storage SCP": _D(_ABORTED, "PS3.7 C.5.5: an unrecognized operation has status 0x0211"),
    "an unknown command": _D((_BOTH, "closed"), "PS3.7 C.5.5: an unrecognized operation has status 0x0211"),
    "a store without data set": _D(_STORED, "nothing was stored; ours says 0xC000"),
    "a store of another SOP class": _D(_STORED, "PS3.7 9.1.1.1: 0x0122, not the class of the context"),
    "a store in the context of verification": _D(_STORED, "PS3.7 9.1.1.1: 0x0122, not of the context"),
    "a malformed instance UID": _D(_STORED, "PS3.7 C.5.6: 0x0117; here the test's handler decides"),
    "another instance than announced": _D(_STORED, "PS3.4 B.2.3: 0xA900; here the test's handler decides"),
    "an instance without StudyDate": _D(_STORED, "CUBE could not register it: 0xC000"),
    "a data set cut off inside an element": _D(_STORED, "PS3.4 B.2.3: 0xC000; here the handler decides"),
    "a data set without SOP UIDs": _D(_STORED, "PS3.4 B.2.3: 0xA900; here the test's handler decides"),
    "a command inside a data set": _D(
        (_BOTH, "C-ECHO-RSP 1 0000", "closed"), "PS3.8 E.2: fragments of two messages do not mix"
    ),
    "a command set cut off": _D((_BOTH, "closed"), "PS3.8 9.2: an abort is due; pynetdicom's thread dies"),
    "an empty command set": _D((_BOTH, "closed"), "PS3.8 9.2: an abort is due; pynetdicom's thread dies"),
    "an A-RELEASE-RQ of a gigabyte": _D((_BOTH, "silent"), "its length is fixed; pynetdicom waits for all"),
}  # fmt: skip
"""Of pynetdicom's SCP."""

DCMTK: Final = {
    "a context without transfer syntaxes": _D(
        ("silent",), "PS3.8 7.1.1.13: each context gets its own result; dcmtk drops the request"
    ),
    "the SCU wants both roles": _D(
        ("AC 3:0/1.2.840.10008.1.2", "RP"), "PS3.7 D.3.3.4: no answer means the default, which is the same"
    ),
    "the SCU wants to be the SCP": _D(
        ("AC 3:0/1.2.840.10008.1.2", "RP"),
        "PS3.7 D.3.3.4: its SCU role was not proposed, ours is not the SCU",
    ),
    "a calling AE title of blanks": _D(("silent",), "real devices send it; ours calls it UNKNOWN"),
    "a calling AE title of dots": _D((_ECHO, "closed"), "it would name a folder of the storage root"),
    "no presentation context": _D(("silent",), "PS3.8 9.3.2: one or more are mandatory; ours says so"),
    "an even context id": _D(
        ("AC 2:0/1.2.840.10008.1.2 1:0/1.2.840.10008.1.2", "RP"), "PS3.8 9.3.2.2: ids are odd"
    ),
    "a context id twice": _D((_TURNED, "RP"), "PS3.8 7.1.1.13: an id names one context; which, nobody knows"),
    "two abstract syntaxes": _D((_TURNED, "RP"), "PS3.8 9.3.2.2: only one may be there"),
    "no abstract syntax": _D((_TURNED, "RP"), "PS3.8 9.3.2.2: one must be there"),
    "an abstract syntax of 70 characters": _D(("silent",), "a malformed context is refused alone"),
    "an item longer than the PDU": _D(("silent",), "PS3.8 9.2: an abort is due; dcmtk drops the request"),
    "a maximum length of two bytes": _D((_ECHO, "closed"), "PS3.8 D.1.1: its length is 4"),
    "a request cut off in its titles": _D(("silent",), "PS3.8 9.2: an abort is due; dcmtk drops the request"),
    "HTTP": _D(("closed",), "PS3.8 table 9-10, Sta2 and Evt19: AA-1, an A-ABORT"),
    "a command a byte at a time": _D(_ABORTED, "PS3.8 E.2 asks senders for even fragments; ours is lenient"),
    "a data set in odd pieces": _D(_ABORTED, "PS3.8 E.2 asks senders for even fragments; ours is lenient"),
    "UIDs of odd length": _D(_ABORTED, "PS3.5 7.1.1 asks senders for even lengths; ours is lenient"),
    "C-CANCEL gets no answer": _D(_ABORTED, "PS3.7 9.3.2.3: it may come too late, and has no response"),
    "a C-FIND to a storage SCP": _D(_ABORTED, "PS3.7 C.5.5: an unrecognized operation has status 0x0211"),
    "an unknown command": _D(_ABORTED, "PS3.7 C.5.5: an unrecognized operation has status 0x0211"),
    "a store without data set": _D(_ABORTED, "one bad instance never ends an association: 0xC000"),
    "a store of another SOP class": _D(_STORED, "PS3.7 9.1.1.1: 0x0122, not the class of the context"),
    "a store in the context of verification": _D(_STORED, "PS3.7 9.1.1.1: 0x0122, not of the context"),
    "a malformed instance UID": _D(_STORED, "PS3.7 C.5.6: 0x0117; dcmtk names its file by it"),
    "another instance than announced": _D(_STORED, "PS3.4 B.2.3: 0xA900; +B does not look into the data set"),
    "an instance without StudyDate": _D(_STORED, "CUBE could not register it: 0xC000"),
    "a data set cut off inside an element": _D(_STORED, "PS3.4 B.2.3: 0xC000; +B does not look into it"),
    "a data set without SOP UIDs": _D(_STORED, "PS3.4 B.2.3: 0xA900; +B does not look into the data set"),
}
"""Of dcmtk 3.6's storescp with --fork --promiscuous --accept-all --bit-preserving."""

DIFFERENCES: Final = {"pynetdicom": PYNETDICOM, "dcmtk": DCMTK}
