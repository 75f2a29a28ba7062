"""The OpenAPI document as a page of plain HTML: no scripts, its own or anybody's. https://spec.openapis.org/oas/v3.1.0"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response
from markupsafe import Markup, escape

_CSP = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def page(spec: dict[str, Any]) -> Response:
    """Each path with its methods, what it takes and what it answers."""
    rows = Markup("").join(_rows(spec))
    title = escape(spec["info"]["title"])
    html = Markup(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{0}</title></head><body><h1>{0}</h1>'
        "<p>A session (POST /platform/api/sessions) goes into the header Authorization: Bearer. The same for programs: "
        '<a href="openapi.json">openapi.json</a>.</p><table><thead><tr><th scope="col">Request</th>'
        '<th scope="col">What it does</th><th scope="col">Takes</th><th scope="col">Answers</th></tr></thead>'
        "<tbody>{1}</tbody></table></body></html>"
    ).format(title, rows)
    return Response(html, headers={"Content-Security-Policy": _CSP}, content_type="text/html; charset=utf-8")


def _rows(spec: dict[str, Any]) -> Iterator[Markup]:
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            if method == "parameters":
                continue
            summary = " ".join(part for part in (operation.get("summary"), operation.get("description")) if part)
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            yield Markup("<tr><td><code>{} {}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>").format(
                method.upper(), path, summary, _fields(spec, body), _answers(spec, operation)
            )


def _answers(spec: dict[str, Any], operation: dict[str, Any]) -> str:
    found = []
    for status, response in operation["responses"].items():
        schema = response.get("content", {}).get("application/json", {}).get("schema", {})
        if status.isdigit():
            found.append(f"{status} {_fields(spec, schema.get('items', schema))}".strip())
    return "; ".join(found)


def _fields(spec: dict[str, Any], schema: dict[str, Any]) -> str:
    name = schema.get("$ref", "").rpartition("/")[2]
    known = spec.get("components", {}).get("schemas", {}).get(name, schema)
    return ", ".join(known.get("properties", ()))
