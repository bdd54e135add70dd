"""Read a request body as a schema, and report what is wrong with it."""

from codecs import BOM_UTF8
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from functions.errors import (
    MAX_FIELD_ERRORS,
    FieldError,
    InvalidError,
    MalformedError,
    TooLargeError,
)
from functions.rollouts.model import texts
from functions.wire.schema import Schema

# Room for the ids of the largest list of devices, each in full length.
MAX_BODY_BYTES = 16 * 1_048_576
# A pointer may contain a long name that the caller chose.
_MAX_POINTER_CHARACTERS = 256
UNKNOWN_FIELD = "is not a known field"


def parse_as[T: Schema](schema: type[T], body: bytes) -> T:
    """Return the body as `schema`. Raises TooLargeError, MalformedError, InvalidError."""
    if len(body) > MAX_BODY_BYTES:
        raise TooLargeError(
            f"The body has {len(body)} bytes; at most {MAX_BODY_BYTES} are accepted."
        )
    _check_json(body)
    try:
        return schema.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise to_request_error(error) from None


def _check_json(body: bytes) -> None:
    """Raise MalformedError unless the body is JSON as RFC 8259 has it."""
    if body.startswith(BOM_UTF8):
        raise MalformedError("The body is not JSON: it begins with a byte order mark.")
    try:
        # pydantic's own reader takes NaN and Infinity for numbers.
        from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise MalformedError(f"The body is not JSON in UTF-8: {error}") from None


def to_request_error(error: ValidationError, base: str = "") -> InvalidError | MalformedError:
    """Convert a validation error; `base` is the JSON Pointer of what was validated."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    if any(entry["type"] == "json_invalid" for entry in errors):
        return MalformedError(f"The body is not JSON: {errors[0]['msg']}")
    fields = [_to_field_error(entry, base) for entry in errors[:MAX_FIELD_ERRORS]]
    verb = "is" if len(errors) == 1 else "are"
    return InvalidError(f"{texts.count(len(errors), 'field')} {verb} invalid.", fields)


def _to_field_error(entry: Any, base: str) -> FieldError:
    way, message = entry["loc"], entry["msg"].removeprefix("Value error, ")
    if entry["type"] == "extra_forbidden":
        message = UNKNOWN_FIELD
    elif way[0:1] == ("labels",) and way[2:] == ("[key]",):  # where pydantic reports a label's name
        way, message = way[:2], f"the name of the label is invalid: {message}"
    pointer = base + "".join(f"/{_escape(str(part))}" for part in way)
    return FieldError(pointer[:_MAX_POINTER_CHARACTERS], message)


def _escape(part: str) -> str:
    """Escape one part of a JSON Pointer (RFC 6901, section 3)."""
    return part.replace("~", "~0").replace("/", "~1")
