"""The lines of an exported rollout."""

from enum import StrEnum

from functions.wire.device_update import DeviceUpdateInFullSchema
from functions.wire.event import EventSchema
from functions.wire.rollout import RolloutSchema
from functions.wire.schema import Schema, omitted_if_none
from functions.wire.texts import Link


class LineKind(StrEnum):
    """What a line of an export holds."""

    ROLLOUT = "rollout"
    DEVICE = "device"
    EVENT = "event"
    MORE = "more"


class ExportLineSchema(Schema):
    """One line of an export; it has the field that `kind` names, and no other one.

    A line of kind `more` ends a response and has `next_link`, the URL of the lines that follow.
    """

    kind: LineKind
    rollout: RolloutSchema | None = omitted_if_none()
    device: DeviceUpdateInFullSchema | None = omitted_if_none()
    event: EventSchema | None = omitted_if_none()
    next_link: Link | None = omitted_if_none()
