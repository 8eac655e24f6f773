"""The OpenAPI 3.1 document, made from the table of operations and the models. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from processor import __version__
from processor.admin import problems
from processor.admin.operation import Operation
from processor.admin.operations import OPERATIONS
from processor.admin.problems import CONTENT_TYPE, Kind
from processor.admin.schemas import REF, components

_TOKEN: Final = "token"  # noqa: S105  (the name of the scheme)
_ANY: Final[dict[str, Any]] = {"Document": {"type": "object"}, "Page": {"type": "string"}}

_RETRY_AFTER: Final = {
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
}
_CHALLENGE: Final = {"WWW-Authenticate": {"description": "RFC 6750, 3.", "schema": {"type": "string"}}}
_PROBLEM_HEADERS: Final = {
    problems.TOO_MANY: _RETRY_AFTER,
    problems.UNAVAILABLE: _RETRY_AFTER,
    problems.UNAUTHENTICATED: _CHALLENGE,
    problems.FORBIDDEN: _CHALLENGE,
}


def document(operations: Sequence[Operation] = OPERATIONS) -> dict[str, Any]:
    """The document."""
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tocsin",
            "version": __version__,
            "description": "Trigger rules, and what became of their webhooks. Every problem is an"
            f" {CONTENT_TYPE} (RFC 9457). Whatever takes GET takes HEAD, too: the same without its body.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components(),
            "securitySchemes": {
                _TOKEN: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "One of admin.tokens or admin.tokens_file.",
                }
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    answer = operation.answer
    shown: dict[str, Any] = {"description": answer.description}
    if answer.headers:
        shown["headers"] = {
            name: {"description": text, "required": True, "schema": {"type": "string"}}
            for name, text in answer.headers.items()
        }
    if answer.model is not None:
        shown["content"] = {answer.content_type: {"schema": _schema(answer.model)}}
    responses: dict[str, Any] = {str(answer.status): shown}
    for status in sorted({kind.status for kind in operation.problems}):
        responses[str(status)] = _problem([kind for kind in operation.problems if kind.status == status])
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "responses": responses,
        "security": [] if operation.role is None else [{_TOKEN: []}],
    }
    if operation.role is not None:
        role = f"Needs a token that may {operation.role}."
        described["description"] = f"{operation.description} {role}".strip()
    if operation.parameters:
        described["parameters"] = [
            {
                "name": one.name,
                "in": one.place,
                "required": one.required,
                "description": one.description,
                "schema": dict(one.schema),
            }
            for one in operation.parameters
        ]
    if operation.body is not None:
        described["requestBody"] = {
            "required": not operation.may_be_empty,
            "content": {kind: {"schema": _schema(operation.body)} for kind in operation.body_types},
        }
    return described


def _problem(kinds: Sequence[Kind]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "description": "; ".join(f"{kind.title} (`{kind.type}`)" for kind in kinds),
        "content": {CONTENT_TYPE: {"schema": _schema("ProblemDetails")}},
    }
    for kind in kinds:
        if headers := _PROBLEM_HEADERS.get(kind):
            shown["headers"] = dict(headers)
    return shown


def _schema(model: str) -> dict[str, Any]:
    return dict(_ANY[model]) if model in _ANY else {"$ref": REF.format(model=model)}
