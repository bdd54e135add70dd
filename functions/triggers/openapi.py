"""The API described (OpenAPI 3.1)."""

from typing import Any


def document(base_url: str) -> dict[str, Any]:
    return {"openapi": "3.1.0", "servers": [{"url": base_url}]}
