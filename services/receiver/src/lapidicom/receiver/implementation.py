"""How the receiver names itself: in A-ASSOCIATE-AC (PS3.7 D.3.3.2) and in File Meta (PS3.10 7.1)."""

from typing import Final

IMPLEMENTATION_CLASS_UID: Final = "2.25.47540483544057109395714351261902886318"
"""Implementation Class UID (0002,0012): made once from a UUID (PS3.5 B.2)."""

IMPLEMENTATION_VERSION_NAME: Final = "LAPIDICOM_0.1"
"""Implementation Version Name (0002,0013): an SH of at most 16 characters."""
