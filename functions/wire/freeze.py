"""The body of `PUT /freeze`, and the freeze in responses."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field

from functions.rollouts.model.freeze import Freeze, NewFreeze
from functions.rollouts.model.package_uri import hide_secrets
from functions.wire.command_request import MAX_REVISION
from functions.wire.fields import Count, Time
from functions.wire.parsing import parse_as
from functions.wire.schema import Schema, omitted_if_none
from functions.wire.texts import Condition, Text128, Text256

_EXAMPLES: Mapping[str, Any] = {
    "of all devices": {"reason": "incident 4711", "by": "ada", "until": "2026-12-01T02:00:00Z"},
    "of one site": {"reason": "audit in Berlin", "condition": "tags.site = 'berlin'"},
}


class FreezeRequestSchema(Schema):
    """Why starts are frozen, for how long, and of which devices."""

    request_name = "FreezeRequest"
    body_examples = _EXAMPLES

    reason: Text256
    by: Text128 | None = None
    until: Annotated[
        Time | None, Field(description="The freeze ends by itself then; null: once it is removed.")
    ] = None
    condition: Annotated[
        Condition | None,
        Field(description="Only devices that match it are frozen; null: all devices."),
    ] = None
    revision: Annotated[
        int | None,
        Field(
            ge=0,
            le=MAX_REVISION,
            strict=True,
            description="The `revision` of the freeze that was read, 0 if there was none; another"
            " one is a conflict. null: replaces any freeze.",
        ),
    ] = None

    def to_new_freeze(self) -> NewFreeze:
        """Return the request for the use case."""
        return NewFreeze(
            reason=self.reason,
            until=self.until,
            condition=self.condition,
            revision=self.revision,
        )


class FreezeSchema(Schema):
    """The latest freeze. Without one, `active` is false and `revision` 0.

    `replaces` is in the response to a PUT that replaced a freeze which was in force.
    """

    active: bool
    revision: Count
    reason: str | None = omitted_if_none()
    by: str | None = omitted_if_none()
    since: Time | None = omitted_if_none()
    until: Time | None = omitted_if_none()
    condition: str | None = omitted_if_none()
    ended_at: Time | None = omitted_if_none()
    ended_by: str | None = omitted_if_none()
    ended_reason: str | None = omitted_if_none()
    replaces: "FreezeSchema | None" = omitted_if_none()

    @classmethod
    def of_latest(
        cls, freeze: Freeze | None, now: datetime, replaces: Freeze | None = None
    ) -> Self:
        """Return the latest freeze as it is at `now`; None: there never was one."""
        if freeze is None:
            return cls.model_construct(active=False, revision=0)
        is_over = freeze.until is not None and freeze.until <= now
        return cls.model_construct(
            active=freeze.is_in_force(now),
            revision=freeze.revision,
            reason=freeze.reason,
            by=freeze.by,
            since=freeze.since,
            until=freeze.until,
            condition=None if freeze.condition is None else hide_secrets(freeze.condition),
            ended_at=freeze.ended_at or (freeze.until if is_over else None),
            ended_by=freeze.ended_by,
            ended_reason=freeze.ended_reason,
            replaces=FreezeSchema.of_latest(replaces, freeze.since) if replaces else None,
        )


def parse(body: bytes) -> FreezeRequestSchema:
    """Parse the body. Raises TooLargeError, MalformedError, InvalidError."""
    return parse_as(FreezeRequestSchema, body)
