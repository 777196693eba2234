"""Why a message is a dead letter, what that means and what to do: one table. Pure code.

The table holds every reason that a registrar or the broker can give; docs/runbook.md has a section for
each.
"""

import re
import shlex
from dataclasses import dataclass
from typing import Final

from lapidicom.registrar.cube.contract import FIELDS, IDENTITY_LIMITS, PATH_PREFIX

ANY_OTHER_STATUS: Final = "http_*"

DELIVERY_LIMIT: Final = "delivery-limit"
"""The broker itself gave the message up: it was delivered again and again and never ended."""

BY_BROKER: Final = "by-broker"
"""The broker dead-lettered it for another reason, such as a policy's; the reason follows a colon."""

UNKNOWN_REASON: Final = "untold"
"""Nobody said why: not published by a registrar."""

_SHOW: Final = "`lapidicom dlq show ID`"
_SHOW_PHI: Final = "`lapidicom dlq show ID --show-phi`"
_REPLAY: Final = "`lapidicom dlq replay --id ID`"
_CANARY: Final = "`lapidicom dlq replay --reason REASON --canary 1`"
_DROP: Final = "`lapidicom dlq drop --id ID --export FILE`"

IDENTITY_REFUSED: Final = (
    "Identity is never edited: have it corrected at the sender and sent again, then "
    f"{_DROP}; CUBE's words: {_SHOW_PHI}."
)
"""Remedy of what is refused for a field that no replay may edit."""

_IDENTITY: Final = frozenset({*IDENTITY_LIMITS, "StudyDate", "path"})

_MADE_ANEW: Final = (
    f"Take it out with {_DROP}; then let `lapidicom reconcile` make a new message of the file."
)

RUNBOOK: Final = "docs/runbook.md"


@dataclass(frozen=True, slots=True)
class Cause:
    """What is known about a reason, in two sentences.

    Attributes:
        reason: as the dead letter bears it, up to a colon; `http_*` for any status without its own row.
        remedy: ID and REASON stand for the letter's.
    """

    reason: str
    meaning: str
    remedy: str

    @property
    def section(self) -> str:
        """Where the runbook tells more."""
        return f"{RUNBOOK}#{re.sub(r'[^a-z0-9_ -]', '', self.reason.lower()).replace(' ', '-')}"


CAUSES: Final = (
    Cause(
        "refused",
        "CUBE refused what the request says (400); the reason names the fields.",
        f"Read CUBE's answer with {_SHOW_PHI}; mend the field with `lapidicom dlq replay --id ID --set "
        "Field=value`.",
    ),
    Cause(
        "file-missing",
        "CUBE did not find the file, and the registrar did not either, on the receivers' own volume.",
        f"Find out who removed it; send the instance again from the PACS, then {_REPLAY}.",
    ),
    Cause(
        "unregistrable",
        "CUBE could never take it: an identity field or the path is blank, too long or not normal.",
        f"Correct the sender and send again; then {_DROP}.",
    ),
    Cause(
        "refused-on-the-way",
        "Something between the registrar and CUBE refused this message each time, and let others through; "
        "the reason names the status.",
        f"Read who answers so with {_SHOW_PHI}, have that firewall or proxy corrected; then {_CANARY}.",
    ),
    Cause(
        "not_yet_visible",
        "For an hour CUBE did not find a file that the registrar saw on its own mount.",
        f"Find out why CUBE's storage does not show it with {_SHOW}; then {_CANARY}.",
    ),
    Cause(
        "file_not_visible",
        "For an hour CUBE failed on it, and the registrar did not find the file.",
        f"See where it is with {_SHOW}; bring it back or send it again, then {_REPLAY}.",
    ),
    Cause(
        "pacs_exists",
        "Several messages created a PACS name in CUBE at one moment, and CUBE refused this one each time.",
        "The name exists now: `lapidicom dlq replay --reason pacs_exists`.",
    ),
    Cause(
        "count-differs",
        "For an hour CUBE 6 counted another number of files in the series' folder than the registrar did.",
        f"Find out why CUBE's storage shows other files with {_SHOW}; then {_CANARY}.",
    ),
    Cause(
        "files-missing",
        "For an hour the volume has had fewer files of the series than a receiver stored, or CUBE 6 knows.",
        f"Find out who removed them; send the series again from the PACS, then {_REPLAY}.",
    ),
    Cause(
        "late-instances",
        "The series is registered with fewer files than the volume has now; CUBE 6 adds none to a series.",
        "Let CUBE register it anew, with all files: `lapidicom heal SERIES_INSTANCE_UID --fix`; then "
        f"{_REPLAY}.",
    ),
    Cause(
        "other-folder",
        "CUBE 6 has registered the series from another folder: sent before under another identity.",
        f"Find out which one is right with {_SHOW_PHI}; to register this one `lapidicom heal "
        f"SERIES_INSTANCE_UID --folder PATH --fix`, then {_REPLAY}.",
    ),
    Cause(
        "half-registered",
        "CUBE 6 has registered files of the series and not the series: it was stopped in between.",
        "Let CUBE forget these files and register it anew: `lapidicom heal SERIES_INSTANCE_UID --fix`; "
        f"then {_REPLAY}.",
    ),
    Cause(
        "registers-files",
        "The series waited for CUBE 6, and CUBE registers single files: it was rolled back to v5.",
        f"Let `lapidicom reconcile` enqueue its files one by one; then {_DROP}.",
    ),
    Cause(
        "http_500",
        "CUBE answered 500 each time, while it was well.",
        f"Read CUBE's log at the time of the last attempt; then {_CANARY}.",
    ),
    Cause(
        ANY_OTHER_STATUS,
        "CUBE, or a proxy before it, gave an answer each time that its contract does not know.",
        f"Find out who answers so with {_SHOW}; then {_CANARY}.",
    ),
    Cause(
        "no_answer",
        "Each request was cut off or timed out, while CUBE was well.",
        f"Look at time-outs of proxies and at CUBE's database; then {_CANARY}.",
    ),
    Cause(
        "internal-error",
        "A fault of the registrar's: it failed on this message each time.",
        f"Report the registrar's log line `registration_crashed` with this id; upgrade; then {_REPLAY}.",
    ),
    Cause(
        "unknown-type",
        "A registrar of an earlier version did not know this type; one of this version lets it wait.",
        f"Upgrade all registrars, then {_REPLAY}; of a foreign publisher: {_DROP}.",
    ),
    Cause(
        "unsupported-version",
        "A registrar of an earlier version did not read this version; one of this version lets it wait.",
        _MADE_ANEW,
    ),
    Cause(
        "undecodable",
        "The body is not what its type and version promise.",
        _MADE_ANEW,
    ),
    Cause(
        DELIVERY_LIMIT,
        "It was in a registrar's hands 20 times when that one ended: suspected to be poison, or a "
        "neighbour of poison, or hit by many restarts.",
        "It is safe to replay once: `lapidicom dlq replay --id ID --wait`.",
    ),
    Cause(
        BY_BROKER,
        "RabbitMQ took it out of the work queue for another reason: a policy of the site, or a foreign "
        "consumer.",
        f"Find the policy with `lapidicom doctor`; then {_REPLAY}.",
    ),
    Cause(
        UNKNOWN_REASON,
        "Nobody said why: it was not published by a registrar.",
        f"Look at it with {_SHOW}; replay it, or drop it with an export.",
    ),
)
"""In the order of the runbook."""

_ROWS: Final = {cause.reason: cause for cause in CAUSES}
_FIELD: Final = f"(?:{'|'.join(sorted(FIELDS))})"
_FAULT: Final = f"blank|longer than [0-9]+ characters|not a normal path below {PATH_PREFIX}"
_DETAILS: Final = {
    "refused": f"{_FIELD}(?:,{_FIELD})*",
    "unregistrable": f"{_FIELD}: (?:{_FAULT})",
    "refused-on-the-way": "http_[0-9]{3}",
    "internal-error": "[A-Za-z]+(?:Error|Exception|Exit|Group|Interrupt|Iteration|Timeout)",
    BY_BROKER: "expired|maxlen|rejected",
}
"""What may follow the colon of a reason; anything else is not shown: a foreign publisher wrote it."""


def known_reason(text: str) -> str:
    """Of a reason what a registrar or the broker is known to give."""
    key, _, detail = text.partition(": ")
    if key not in _ROWS and not re.fullmatch("http_[0-9]{3}", key, re.ASCII):
        return UNKNOWN_REASON
    return text if detail and re.fullmatch(_DETAILS.get(key, "(?!)"), detail, re.ASCII) else key


def cause_of(reason: str) -> Cause:
    """The row of a reason; a reason of a newer registrar's is as one that nobody knows."""
    key = reason.partition(":")[0]
    other = ANY_OTHER_STATUS if key.startswith("http_") else UNKNOWN_REASON
    return _ROWS.get(key, _ROWS[other])


def remedy(reason: str, letter_id: str, *, of_group: bool = False) -> str:
    """What to do about a letter, with its reason and its id, as an operator types it, in the commands.

    Of a group the id is that of the example: all letters of the reason are named where a command allows it.
    """
    key, _, names = reason.partition(": ")
    text = cause_of(reason).remedy
    if key == "refused" and _IDENTITY.intersection(names.split(",")):
        text = IDENTITY_REFUSED
    if of_group:
        text = text.replace("--id ID", f"--reason {shlex.quote(reason)}")
    text = text.replace("REASON", key)
    return re.sub(r"\bID\b", lambda _: letter_id, text)
