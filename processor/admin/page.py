"""The OpenAPI document as a page for people: plain HTML, made here, without scripts and without anything from
elsewhere, so that it needs no network and its content security policy can forbid all of that.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

_STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
body{color:#1b1f24;background:#fff}
h2{margin-top:2.5rem;border-top:1px solid #d0d7de;padding-top:1.2rem;font-size:1.15rem}
code,pre{font:13px/1.45 ui-monospace,monospace;background:#f6f8fa;border-radius:4px}
code{padding:.1em .3em}pre{padding:.8rem;overflow-x:auto;white-space:pre-wrap}
table{border-collapse:collapse;width:100%;margin:.6rem 0}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #d8dee4}
.method{font-weight:700;margin-right:.5rem}nav a{display:block}a{color:#0550ae}
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}code,pre{background:#161b22}a{color:#79c0ff}
h2,th,td{border-color:#30363d}}
"""

CONTENT_SECURITY: Final = (
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; style-src 'sha256-"
    + base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
    + "'"
)


def render(document: Mapping[str, Any]) -> str:
    """The page for this document."""
    info = document["info"]
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width,initial-scale=1">',
        f"<title>{_text(info['title'])} API</title><style>{_STYLE}</style></head><body>",
        f"<h1>{_text(info['title'])} API {_text(info['version'])}</h1><p>{_text(info['description'])}</p>",
        '<p>For programs: <a href="openapi.json">openapi.json</a></p><nav>',
    ]
    for method, path, operation in operations:
        parts.append(f'<a href="#{_text(operation["operationId"])}">{method} {_text(path)}</a>')
    parts.append("</nav>")
    for method, path, operation in operations:
        parts += _operation(method, path, operation)
    parts.append('<h2 id="schemas">Schemas</h2>')
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts.append(f'<h3 id="schema-{_text(name)}">{_text(name)}</h3>{_schema(schema)}')
    parts.append("</body></html>")
    return "\n".join(parts)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> list[str]:
    parts = [
        f'<h2 id="{_text(operation["operationId"])}">',
        f"<span class=method>{method}</span><code>{_text(path)}</code></h2>",
        f"<p><strong>{_text(operation['summary'])}.</strong> {_text(operation.get('description', ''))}</p>",
    ]
    if parameters := operation.get("parameters"):
        rows = [
            (f"<code>{_text(one['name'])}</code>", one["in"], _kind(one["schema"]), _text(one["description"]))
            for one in parameters
        ]
        parts.append(_table(("parameter", "in", "type", "meaning"), rows))
    if body := operation.get("requestBody"):
        kinds = " or ".join(f"<code>{_text(kind)}</code>" for kind in body["content"])
        schema = next(iter(body["content"].values()))["schema"]
        parts.append(f"<p>Body: {_kind(schema)}, as {kinds}.</p>")
    rows = []
    for status, answer in operation["responses"].items():
        content = answer.get("content", {})
        kind = _kind(next(iter(content.values()))["schema"]) if content else ""
        headers = ", ".join(f"<code>{_text(name)}</code>" for name in answer.get("headers", {}))
        rows.append((f"<code>{status}</code>", _text(answer["description"]), kind, headers))
    parts.append(_table(("status", "meaning", "body", "headers"), rows))
    return parts


def _schema(schema: Mapping[str, Any]) -> str:
    about = f"<p>{_text(schema.get('description', ''))}</p>"
    properties = schema.get("properties")
    if not properties:
        return f"{about}<pre>{_text(json.dumps(schema, indent=1, ensure_ascii=False))}</pre>"
    required = set(schema.get("required", ()))
    rows = [
        (
            f"<code>{_text(name)}</code>{' *' if name in required else ''}",
            _kind(one),
            _text(one.get("description", "")),
        )
        for name, one in properties.items()
    ]
    return about + _table(("field (* always there)", "type", "meaning"), rows)


def _kind(schema: Mapping[str, Any]) -> str:
    """A type in a few words, with links."""
    if "$ref" in schema:
        name = _text(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(one) for one in schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(f"<code>{_text(json.dumps(one))}</code>" for one in schema["enum"])
    if "const" in schema:
        return f"<code>{_text(json.dumps(schema['const']))}</code>"
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(map(_text, kind))
    if kind == "array" and "items" in schema:
        return f"list of {_kind(schema['items'])}"
    if kind == "object" and schema.get("properties"):
        return (
            "{"
            + ", ".join(f"{_text(name)}: {_kind(one)}" for name, one in schema["properties"].items())
            + "}"
        )
    more = schema.get("format") or schema.get("pattern")
    return f"{_text(kind)} <code>{_text(more)}</code>" if more else _text(kind)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    names = "".join(f"<th>{name}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{names}</tr>{body}</table>"


def _text(text: object) -> str:
    return html.escape(str(text))
