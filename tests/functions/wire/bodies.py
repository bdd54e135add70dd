"""Make bodies of creates, and read where their errors point."""

import json
from typing import Any

import pytest

from functions.errors import InvalidError
from functions.wire.create_request import parse

FIRMWARE = {"version": "2.4.0", "packageUri": "https://packages.example/fw-2.4.0.bin"}

BODY: dict[str, Any] = {"firmware": FIRMWARE, "target": {"deviceIds": ["thermostat-1"]}}


def body(**changes: Any) -> bytes:
    return json.dumps(BODY | changes).encode()


def read_pointers(raw: bytes) -> list[str]:
    with pytest.raises(InvalidError) as caught:
        parse(raw)
    return [field.pointer for field in caught.value.fields]
