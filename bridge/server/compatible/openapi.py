"""The compatible server's description of itself, made from the table of conversions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from bridge.conversions.endpoints import Endpoint
from bridge.conversions.model import Conversion, Kind, Parameter
from bridge.server.compatible import checking

Schema = dict[str, Any]

_TYPES: Mapping[Kind, str] = MappingProxyType(
    {"bool": "boolean", "int": "integer", "float": "number", "text": "string", "list": "string"}
)
ERRORS = (400, 401, 402, 403, 404, 422, 424, 429, 500, 503)
ERROR_BODY: Schema = {
    "type": "object",
    "required": ["success"],
    "properties": {
        "success": {"const": False},
        "error_code": {"type": "string"},
        "message": {"type": "string"},
    },
}
SECURITY: Schema = {"ApiKeyAuth": {"type": "apiKey", "in": "header", "name": "Authorization"}}
FILE: Schema = {"type": "string", "format": "binary"}
MULTIPART = "multipart/form-data"


def of_conversion(row: Conversion) -> Schema:
    """What FastAPI adds to an operation: parameters or body, and the errors."""
    described = _described()
    if row.encoding == "query":
        return {**described, "parameters": [_in_query(one) for one in checking.known(row)]}
    body = {"required": True, "content": {row.encoding: {"schema": _body(row)}}}
    return {**described, "requestBody": body}


def of_endpoint(row: Endpoint) -> Schema:
    described = _described()
    in_path = [one for one in row.parameters if f"{{{one.name}}}" in row.path]
    others = [one for one in row.parameters if one not in in_path]
    parameters = [{**_in_query(one), "in": "path"} for one in in_path]
    if row.encoding == "query":
        return {**described, "parameters": [*parameters, *map(_in_query, others)]}
    schema = _object(others, {one.name: _schema(one) for one in others})
    return {
        **described,
        "parameters": parameters,
        "requestBody": {"required": True, "content": {row.encoding: {"schema": schema}}},
    }


def _described() -> Schema:
    """What holds for every operation."""
    return {"security": [{name: []} for name in SECURITY], "responses": _responses()}


def _body(row: Conversion) -> Schema:
    known = checking.known(row)
    properties: Schema = {one.name: _schema(one) for one in known}
    sources = checking.SOURCES[row.input]
    properties |= {name: FILE if name.endswith("_file") else {"type": "string"} for name in sources}
    if checking.takes_handle(row):
        properties["upload_id"] = {"type": "string"}
        sources = (*sources, "upload_id") if sources else ()
    properties["webhook_url"] = {"type": "string", "format": "uri"}
    groups = [group for group in row.one_of if not set(group) <= checking.TRANSPORT]
    choices = [{"anyOf": [{"required": [name]} for name in group]} for group in (sources, *groups) if group]
    return {**_object(known, properties), **({"allOf": choices} if choices else {})}


def _object(known: Iterable[Parameter], properties: Schema) -> Schema:
    required = [one.name for one in known if one.required]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def _schema(one: Parameter) -> Schema:
    if one.name in checking.FILES:
        return dict(FILE)
    schema: Schema = {"type": _TYPES[one.kind], "description": one.about}
    if one.kind == "list":  # JSON within a text
        return {**schema, "examples": ["[]"]}
    limits = {
        "minimum": one.low,
        "maximum": one.high,
        "maxLength": one.max_chars,
        "enum": list(one.choices) or None,
        "multipleOf": one.multiple_of if one.multiple_of > 1 else None,
        "default": one.default,
        "minLength": 1 if one.required and one.kind == "text" and not one.choices else None,
    }
    return schema | {name: limit for name, limit in limits.items() if limit is not None}


def _in_query(one: Parameter) -> Schema:
    return {"name": one.name, "in": "query", "required": one.required, "schema": _schema(one)}


def _responses() -> Schema:
    content = {"application/json": {"schema": ERROR_BODY}}
    return {str(status): {"description": "Refused.", "content": content} for status in ERRORS}
