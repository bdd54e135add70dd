"""The API's own description, as a caller reads it, and validators of its schemas."""

import json
from typing import Any

import jsonschema

from functions.triggers import openapi
from tests.functions.triggers import routing  # noqa: F401 - loads the app, with all routes

BASE = "http://localhost:7071/api"


def document() -> dict[str, Any]:
    """Return the OpenAPI document as JSON has it."""
    as_read: dict[str, Any] = json.loads(json.dumps(openapi.build_document(BASE)))
    return as_read


def validator(name: str) -> jsonschema.Draft202012Validator:
    """Return a validator of the schema that is published as `name`."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": document()["components"]}
    return jsonschema.Draft202012Validator(schema)
