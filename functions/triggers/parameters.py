"""Parameters of routes: each is declared once, for the description of the API and for reading."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from azure.functions import HttpRequest
from pydantic import TypeAdapter, ValidationError

from functions.errors import InvalidError
from functions.wire.fields import Time

# int() is slow for very long digit strings. No parameter needs more digits than a revision.
_MAX_DIGITS = 16
_TIME: TypeAdapter[datetime] = TypeAdapter(Time)


class Parameter(Protocol):
    """What the API's description needs to know of a parameter."""

    @property
    def name(self) -> str: ...

    @property
    def where(self) -> str:
        """Path, query or header."""

    @property
    def description(self) -> str: ...

    @property
    def schema(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class PathParameter:
    """A part of the path."""

    name: str
    description: str
    where: str = "path"

    @property
    def schema(self) -> Mapping[str, Any]:
        return {"type": "string"}

    def read(self, request: HttpRequest) -> str:
        """Return the value, with its escapes decoded by the host."""
        return str(request.route_params[self.name])


@dataclass(frozen=True, slots=True)
class TextParameter:
    """An optional text in the query or in a header."""

    name: str
    description: str
    where: str
    max_length: int | None = None  # in characters; None: no limit

    @property
    def schema(self) -> Mapping[str, Any]:
        limit = {} if self.max_length is None else {"maxLength": self.max_length}
        return {"type": "string", "minLength": 1, **limit}

    def read(self, request: HttpRequest) -> str | None:
        """Return the value, or None if it is not given. Raises InvalidError."""
        given = request.headers if self.where == "header" else request.params
        text: str | None = given.get(self.name.lower() if self.where == "header" else self.name)
        if text is None or self.max_length is None or 0 < len(text) <= self.max_length:
            return text
        raise InvalidError(
            f"{self.name} has {len(text)} characters; it must have 1 to {self.max_length}."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeNumberParameter[D: int | None]:
    """An optional whole number in the query, in `low`..`high`."""

    name: str
    low: int
    high: int
    default: D
    description: str = ""
    where: str = "query"

    @property
    def schema(self) -> Mapping[str, Any]:
        limits = {"minimum": self.low, "maximum": self.high}
        default = {} if self.default is None else {"default": self.default}
        return {"type": "integer", **limits, **default}

    def read(self, request: HttpRequest) -> int | D:
        """Return the number, or the default if it is not given. Raises InvalidError."""
        text = request.params.get(self.name)
        if text is None:
            return self.default
        is_number = text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS
        if is_number and self.low <= int(text) <= self.high:
            return int(text)
        raise InvalidError(
            f"The query parameter {self.name} must be a whole number from {self.low} to"
            f" {self.high}, not {text[:20]!r}."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeParameter:
    """An optional time in the query."""

    name: str
    description: str = ""
    where: str = "query"

    @property
    def schema(self) -> Mapping[str, Any]:
        return {"type": "string", "format": "date-time"}

    def read(self, request: HttpRequest) -> datetime | None:
        """Return the time in UTC, or None if it is not given. Raises InvalidError."""
        text = request.params.get(self.name)
        if text is None:
            return None
        try:
            return _TIME.validate_python(text)
        except ValidationError:
            raise InvalidError(
                f"The query parameter {self.name} must be an ISO 8601 time with a time zone, such"
                f" as 2026-12-01T02:00:00Z, not {text[:40]!r}."
            ) from None


@dataclass(frozen=True, slots=True)
class ChoiceParameter[T: StrEnum]:
    """An optional value of an enum in the query."""

    name: str
    choices: type[T]
    description: str = ""
    where: str = "query"

    @property
    def schema(self) -> Mapping[str, Any]:
        return {"type": "string", "enum": list(self.choices)}

    def read(self, request: HttpRequest) -> T | None:
        """Return the value, or None if it is not given. Raises InvalidError."""
        text = request.params.get(self.name)
        if text is None:
            return None
        try:
            return self.choices(text)
        except ValueError:
            known = ", ".join(self.choices)
            raise InvalidError(
                f"The query parameter {self.name} must be one of {known}, not {text[:20]!r}."
            ) from None
