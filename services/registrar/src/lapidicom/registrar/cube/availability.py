"""What a reply says of CUBE's health, as a sentence for log and health: whose fault it is, no patient data.

CUBE is recognised by what it says: a proxy or a login page answers 200 as well.
"""

from typing import Final

from lapidicom.registrar.cube.contract import PROBE
from lapidicom.registrar.cube.generation import Generation, generation
from lapidicom.registrar.cube.outcomes import refused_fields
from lapidicom.registrar.cube.replies import Answer, NoAnswer, Reply

DATABASE: Final = "CUBE answers 500 to what needs its database: is the database running?"
NOT_CUBE: Final = "what answers at CHRIS_URL is not the root of CUBE's API, which ends in /api/v1/"
WRONG_ACCOUNT: Final = "CUBE knows no such user and password: check CHRIS_USERNAME and CHRIS_PASSWORD"
WRONG_USER: Final = "CUBE lets no user but `chris` register PACS files: CHRIS_USERNAME is another one"
OTHER_GENERATION: Final = "this is {}, REGISTRATION_UNIT={} is for {}: set it to auto"


def trouble_at_root(reply: Reply) -> str | None:
    """Why the root of the API shows that this is no CUBE to register with; None if it is one."""
    match generation(reply), reply:
        case Generation.PER_FILE | Generation.PER_SERIES, _:
            return None
        case _, Answer(status=400):
            return "CUBE answers 400 at CHRIS_URL: is the name of its host among DJANGO_ALLOWED_HOSTS?"
        case _, Answer(status=status) if status >= 500:
            return f"CHRIS_URL answers {status}: CUBE is not up behind it"
        case _, Answer(status=status):
            return f"{NOT_CUBE} (it answers {status})"
        case _, NoAnswer():
            return trouble(reply)


def trouble_with_token(answer: Answer) -> str:
    """Why CUBE gave no token."""
    match answer:
        case Answer(status=400) if "non_field_errors" in answer.fields:
            return WRONG_ACCOUNT
        case Answer(status=500):
            return DATABASE
        case Answer(status=status):
            return f"{NOT_CUBE} (it answers {status} instead of a token)"


def trouble(reply: Reply) -> str | None:
    """Why a reply to the authenticated read shows that CUBE is not well; None if it is."""
    match reply:
        case Answer(status=200) if _is_instance(reply):
            return None
        case Answer(status=500):
            return DATABASE
        case Answer(status=401):
            return WRONG_ACCOUNT
        case Answer(status=status) if status >= 500:
            return f"CHRIS_URL answers {status}: CUBE is not up behind it"
        case Answer(status=status):
            return f"{NOT_CUBE} (it answers {status} to an authenticated read)"
        case NoAnswer(fault=fault, detail=detail):
            return detail or fault.value


def trouble_registering(refused: Reply) -> str | None:
    """Why a reply to a registration without fields shows that none would do; None if one would."""
    match refused:
        case Answer(status=403) if "detail" in refused.fields:
            return WRONG_USER
        case Answer(status=500):
            return DATABASE
        case Answer(status=status) if not refused_fields(refused):
            return f"registrations are answered {status}, but not by CUBE: a proxy or a firewall?"
        case Answer():
            return None
        case NoAnswer():
            return trouble(refused)


def _is_instance(answer: Answer) -> bool:
    """Whether this is CUBE's description of itself."""
    fields = answer.fields
    return "uuid" in fields and str(fields.get("url", "")).endswith(f"/{PROBE}")
