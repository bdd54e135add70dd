"""The body of a command (pause, resume, cancel, approve, retry, rollback): optional, and small."""

from typing import Annotated

from pydantic import Field

from functions.wire.create_request import validated
from functions.wire.fields import Body, PackageUri, Text128, Text256


class SteeringRequest(Body):
    """Who asks and why, as far as they say."""

    reason: Text256 | None = None
    by: Text128 | None = None


class RetrySteeringRequest(SteeringRequest):
    """The same, and where the firmware's package is by now."""

    package_uri: Annotated[
        PackageUri | None, Field(description="Where the same package is now; null: where it was.")
    ] = None


def parse(body: bytes) -> SteeringRequest:
    """Read the body; an empty one says nothing.

    Raises TooLargeError, MalformedError, InvalidError.
    """
    return _said(SteeringRequest, body)


def parse_retry(body: bytes) -> RetrySteeringRequest:
    """The same for a retry."""
    return _said(RetrySteeringRequest, body)


def _said[T: SteeringRequest](model: type[T], body: bytes) -> T:
    return validated(model, body) if body.strip() else model()
