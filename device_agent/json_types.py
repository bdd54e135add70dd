"""The JSON types of the device side."""

from collections.abc import Mapping
from typing import Any

type JsonObject = Mapping[str, Any]
"""A JSON object that was read, such as a method's payload or a twin's reported properties."""

type Patch = dict[str, Any]
"""A merge patch for the reported properties; None removes a property."""
