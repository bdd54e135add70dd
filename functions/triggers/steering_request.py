"""The body of a command (pause, resume, cancel, approve, retry, rollback): optional, and small."""

from dataclasses import dataclass

from functions.triggers.create_request import validated
from functions.triggers.fields import Body, Text128, Text256


@dataclass(frozen=True, slots=True)
class Steering:
    """Who asks and why, as far as they said."""

    reason: str | None = None
    by: str | None = None


class SteeringRequest(Body):
    reason: Text256 | None = None
    by: Text128 | None = None


def parse(body: bytes) -> Steering:
    """Read the body; an empty one says nothing.

    Raises TooLargeError, MalformedError, InvalidError.
    """
    if not body.strip():
        return Steering()
    said = validated(SteeringRequest, body)
    return Steering(said.reason, said.by)
