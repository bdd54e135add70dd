"""A device update in responses: in a list, in full, and in a device's history."""

from typing import Any, Self

from functions.rollouts.model.device_state import DeviceState, ErrorCode, SkipReason
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.quarantine import FailureRecord, describe
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.wire.fields import Time
from functions.wire.firmware import FirmwareSchema
from functions.wire.schema import PageSchema, Schema, omitted_if_none
from functions.wire.texts import Link


class ErrorSchema(Schema):
    """Why a device update failed."""

    code: ErrorCode
    message: str


class MethodResponseSchema(Schema):
    """The device's own response to the direct method."""

    response_name = "MethodAnswerShown"

    status: int
    payload: Any


class DeviceUpdateSchema(Schema):
    """One device's way through one rollout."""

    device_id: str
    wave: str
    state: DeviceState
    attempt: int
    version: str
    method: MethodResponseSchema | None
    firmware_status: str | None
    progress_percent: int | None
    error: ErrorSchema | None
    skip_reason: SkipReason | None
    running_version: str | None
    previous_version: str | None
    queued_at: Time
    dispatched_at: Time | None
    updated_at: Time
    ended_at: Time | None

    @classmethod
    def of(cls, update: DeviceUpdate, /, **others: Any) -> Self:
        """Return an update; `rollout` is the one that it belongs to."""
        rollout: Rollout = others.pop("rollout")
        return super().of(
            update,
            wave=rollout.waves[update.wave].name,
            version=rollout.firmware_for(update).version,
            **others,
        )


class HistoryEntrySchema(Schema):
    """One line of a device update's history."""

    response_name = "StepAnswer"

    state: DeviceState
    attempt: int
    at: Time
    message: str


class DeviceUpdateInFullSchema(DeviceUpdateSchema):
    """A device update with its history and the reason for its state."""

    explanation: str
    history: list[HistoryEntrySchema]


class DeviceHistorySchema(DeviceUpdateInFullSchema):
    """One entry of a device's history: its update, and the rollout that it belongs to."""

    rollout_id: str
    rollout_status: RolloutStatus
    firmware: FirmwareSchema

    @classmethod
    def of(cls, update: DeviceUpdate, /, **others: Any) -> Self:
        """Return an entry; `rollout` is the one that the update belongs to."""
        rollout: Rollout = others["rollout"]
        return super().of(
            update,
            rollout_id=rollout.id,
            rollout_status=rollout.status,
            firmware=FirmwareSchema.of(rollout.firmware_for(update)),
            **others,
        )


class DeviceUpdatesSchema(PageSchema):
    """A page of device updates."""

    value: list[DeviceUpdateSchema]
    next_link: Link | None = omitted_if_none()


class QuarantineSchema(Schema):
    """A device's quarantine: the rollouts that it failed in, and when it ends."""

    until: Time | None
    rollout_ids: list[str]
    message: str

    @classmethod
    def of(cls, record: FailureRecord, /, **others: Any) -> Self:
        """Return the quarantine of a device."""
        rollout_ids, message = sorted(record.failed_at), describe(record)
        return super().of(record, rollout_ids=rollout_ids, message=message, **others)


class DeviceHistoriesSchema(PageSchema):
    """A page of a device's history; `quarantine` is of a device that is in quarantine now."""

    value: list[DeviceHistorySchema]
    next_link: Link | None = omitted_if_none()
    quarantine: QuarantineSchema | None = omitted_if_none()
