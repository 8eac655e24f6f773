"""What a request says: its body, its query, the revision it expects. What can't be taken is a Problem."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from processor.admin.access import Caller
from processor.admin.operation import DEFAULT_LIMIT, MAX_LIMIT, Operation
from processor.admin.problems import NOT_JSON, TOO_LARGE, WRONG_TYPE, Problem, invalid, invalid_fields
from processor.rules.documents import DocumentError, read_json
from processor.rules.errors import FieldError

MAX_BODY: Final = 1 << 20
"""Bytes of the largest body taken: what a Kafka record holds by default."""

CALLER: Final = web.RequestKey("caller", Caller)
OPERATION: Final = web.RequestKey("operation", Operation)

_ETAG = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')


async def read_body(request: web.Request) -> Any:
    """The body's JSON; None for an empty one, where the operation lets it be that."""
    operation = request[OPERATION]
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Problem(TOO_LARGE, f"the body is larger than {MAX_BODY} bytes") from None
    if not raw and operation.may_be_empty:
        return None
    if request.content_type not in operation.body_types:
        raise Problem(WRONG_TYPE, f"the body must be {' or '.join(operation.body_types)}")
    try:
        return next(read_json(raw.decode("utf-8"))).data
    except UnicodeDecodeError:
        raise Problem(NOT_JSON, "the body is not UTF-8") from None
    except DocumentError as failure:
        raise Problem(NOT_JSON, f"the body is not JSON: {failure}") from None


async def read_object(request: web.Request) -> dict[str, Any]:
    """The body, which must be an object."""
    body = await read_body(request)
    if not isinstance(body, dict):
        raise invalid("", "expected an object")
    return body


def read_query(request: web.Request) -> dict[str, str]:
    """The query's parameters by name; an unknown one, and one that is there twice, is an error."""
    known = request[OPERATION].query
    errors = []
    found: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in known:
            errors.append(FieldError(_shown(name), "unknown parameter"))
        elif name in found:
            errors.append(FieldError(name, "is there twice"))
        else:
            found[name] = value
    if errors:
        raise invalid_fields(errors)
    return found


def read_limit(query: Mapping[str, str]) -> int:
    """How many items a page may have."""
    text = query.get("limit")
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MAX_LIMIT):
        raise invalid("limit", f"must be a whole number from 1 to {MAX_LIMIT}")
    return int(text)


def read_choice(query: Mapping[str, str], name: str, choices: Mapping[str, Any]) -> Any:
    """One of a few values, None where it isn't given."""
    text = query.get(name)
    if text is None:
        return None
    if text not in choices:
        raise invalid(name, f"must be {' or '.join(choices)}")
    return choices[text]


def read_if_match(request: web.Request) -> frozenset[str] | None:
    """The ETags of If-Match (RFC 9110, 13.1.1), None where any will do.

    A weak one never matches, and neither does what is no ETag: nobody means to write all the same.
    """
    headers = request.headers.getall("If-Match", [])
    if not headers or [header.strip() for header in headers] == ["*"]:
        return None
    return frozenset(tag for weak, tag in _ETAG.findall(", ".join(headers)) if not weak)


def etag(offset: int) -> str:
    """The ETag of a rule's revision."""
    return f'"{offset}"'


def _shown(name: str) -> str:
    name = name if len(name) <= 100 else name[:100] + "…"
    return name if name.isprintable() else ascii(name)[1:-1]
