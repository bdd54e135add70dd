"""Failures by error code in responses."""

from functions.wire.fields import Count
from functions.wire.schema import Schema


class FailureSchema(Schema):
    """The failures with one `error.code`, and one of the devices.

    `example` is null where finding one takes a read of the devices, as in lists.
    """

    code: str
    count: Count
    example: str | None
