"""The audit trail in responses."""

from functions.wire.fields import Time
from functions.wire.schema import PageSchema, Schema, omitted_if_none
from functions.wire.texts import Link


class EventSchema(Schema):
    """One line of the audit trail; `by` is a caller, or `rollout` for the rollout itself."""

    at: Time
    action: str
    by: str
    message: str


class EventsSchema(PageSchema):
    """A page of the audit trail."""

    value: list[EventSchema]
    next_link: Link | None = omitted_if_none()
