"""The form of an answer, as the Accept header asks for it (section 2 of CUBE's contract)."""

import json
from typing import Any

from tests.support.cube.contract import COLLECTION_JSON, HTML, JSON, Answer
from tests.support.cube.request import Request, json_answer

_KNOWN = ("*/*", "application/*", "text/*", JSON, COLLECTION_JSON, "text/html")


def _accepted(header: str) -> list[str]:
    return [part.split(";")[0].strip().lower() for part in header.split(",") if part.strip()]


def acceptable(header: str) -> bool:
    """Whether an answer can be given in one of the forms that the header allows."""
    return not header or any(part in _KNOWN for part in _accepted(header))


def rendered(answer: Answer, request: Request) -> Answer:
    """Put a JSON answer into the form that the Accept header asks for (section 2)."""
    if answer.content_type != JSON:
        return answer
    header = request.header("accept")
    if answer.status == 500:
        if header == JSON:  # the handler of errors compares literally
            return answer
        form = COLLECTION_JSON
    else:
        wanted = _accepted(header)
        form = next(
            (part for part in wanted if part in (JSON, COLLECTION_JSON, "text/html")), COLLECTION_JSON
        )
    if form == JSON:
        return answer
    if form == "text/html":
        page = f"<!DOCTYPE html>\n<html><body><pre>{answer.body}</pre></body></html>\n"
        return Answer(answer.status, HTML, page, answer.headers)
    href = f"http://{request.header('host')}{request.path}"
    collection: dict[str, Any] = {"version": "1.0", "href": href}
    if answer.status >= 400:
        collection["error"] = {"message": answer.body}
    else:
        value = json.loads(answer.body)
        rows = value.get("results", [value])
        collection["items"] = [
            {"href": row.get("url", href), "data": [{"name": k, "value": v} for k, v in row.items()]}
            for row in rows
        ]
        collection["links"] = [
            {"rel": rel, "href": link} for rel, link in value.get("collection_links", {}).items()
        ]
    text = json_answer({"collection": collection}).body
    return Answer(answer.status, COLLECTION_JSON, text, answer.headers)
