"""The body of a command (pause, resume, cancel, approve, retry, rollback), which may be empty."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from functions.wire.parsing import parse_as
from functions.wire.schema import Schema
from functions.wire.texts import PackageUri, Text128, Text256

_EXAMPLES: Mapping[str, Any] = {
    "with reason and name": {"reason": "the canary runs hot", "by": "ada"},
}
_RETRY_EXAMPLES: Mapping[str, Any] = {
    **_EXAMPLES,
    "with a new link": {
        "packageUri": "https://packages.example/fw-2.4.0.bin?sv=2024-11-04&sig=bmV3",
        "reason": "the link had expired",
    },
}


class CommandSchema(Schema):
    """The name of the caller and the reason, for the audit trail."""

    request_name = "SteeringRequest"
    body_examples = _EXAMPLES

    reason: Text256 | None = None
    by: Text128 | None = None


class RetryCommandSchema(CommandSchema):
    """The body of a retry, which may name a new address of the package."""

    request_name = "RetrySteeringRequest"
    body_examples = _RETRY_EXAMPLES

    package_uri: Annotated[
        PackageUri | None,
        Field(description="Where the same package is now; null: the address is unchanged."),
    ] = None


def parse(body: bytes) -> CommandSchema:
    """Parse the body of a command. Raises TooLargeError, MalformedError, InvalidError."""
    return _parse(CommandSchema, body)


def parse_retry(body: bytes) -> RetryCommandSchema:
    """Parse the body of a retry. Raises TooLargeError, MalformedError, InvalidError."""
    return _parse(RetryCommandSchema, body)


def _parse[T: CommandSchema](schema: type[T], body: bytes) -> T:
    return parse_as(schema, body) if body.strip() else schema()
