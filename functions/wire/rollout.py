"""A rollout in responses."""

from collections.abc import Sequence
from typing import Any, Self

from pydantic import ConfigDict

from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.gate_view import GateView
from functions.rollouts.model.identity import IdentityKind
from functions.rollouts.model.rollback import RolledBack
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.shown_reason import shown_reason
from functions.rollouts.model.stratum_view import StratumStatus, StratumView
from functions.rollouts.model.wave import Counts, WaveStatus
from functions.wire.device_update import DeviceUpdateSchema
from functions.wire.failure import FailureSchema
from functions.wire.fields import Count, Time
from functions.wire.firmware import FirmwareSchema
from functions.wire.gate_view import GateStepSchema, GateViewSchema
from functions.wire.plan import PlanWarningSchema
from functions.wire.schema import PageSchema, Schema, omitted_if_none
from functions.wire.strategy import StrategySchema
from functions.wire.texts import Link


class ReasonSchema(Schema):
    """Why a rollout has its status: a code for programs, a message for people."""

    code: str
    message: str


def _reason(rollout: Rollout) -> ReasonSchema | None:
    reason = shown_reason(rollout)
    return None if reason is None else ReasonSchema.of(reason)


def _failures(rollout: Rollout) -> list[FailureSchema] | None:
    if rollout.failures is None:
        return None
    return [FailureSchema.of(item) for item in rollout.failures]


class TargetSchema(Schema):
    """A short list of devices, a condition, or the number of devices in a longer list.

    `joiners` is true if devices that come to meet the condition later join the rollout.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": [name]} for name in ("deviceIds", "condition", "deviceCount")],
            "dependentRequired": {"joiners": ["condition"]},
        }
    )

    device_ids: list[str] | None = omitted_if_none()
    condition: str | None = omitted_if_none()
    joiners: bool | None = omitted_if_none()
    device_count: Count | None = omitted_if_none()

    @classmethod
    def of(cls, rollout: Rollout, /, **others: Any) -> Self:
        """Return one of the three; `device_ids` are those of a short list, or None."""
        condition, device_ids = rollout.definition.target.condition, others["device_ids"]
        listed = condition is None and device_ids is not None
        counted = condition is None and device_ids is None
        return cls.model_construct(
            device_ids=list(device_ids) if listed else None,
            condition=condition,
            joiners=rollout.definition.target.joiners or None,
            device_count=rollout.counts.total if counted else None,
        )


class CountsSchema(Schema):
    """Devices by state; the parts add up to `total`. A soaking device counts as updating."""

    total: Count
    queued: Count
    updating: Count
    completed: Count
    failed: Count
    cancelled: Count
    skipped: Count

    @classmethod
    def of(cls, counts: Counts, /, **others: Any) -> Self:
        """Return the counts with soaking devices among the updating ones."""
        return super().of(counts, updating=counts.updating + counts.soaking, **others)


class IdentitySchema(Schema):
    """Who created a rollout: `principal` (signed in), `api` (has a key) or `rollout` (the app)."""

    kind: IdentityKind
    id: str | None
    name: str
    app_id: str | None = omitted_if_none()


class WaveSchema(Schema):
    """A wave and how far it is."""

    name: str
    size: Count
    approval: bool
    status: WaveStatus
    counts: CountsSchema
    started_at: Time | None
    ended_at: Time | None


class StratumSchema(Schema):
    """A stratum that is judged by itself. `tooSmall`: not even if all its devices failed."""

    name: str
    size: Count
    status: StratumStatus
    counts: CountsSchema
    reason: ReasonSchema | None
    frozen_at: Time | None
    rolled_back_by: str | None


class RolloutSchema(Schema):
    """A rollout; `devices` and `warnings` are in the response to a create only.

    `gate_history` is in the response to a read of this rollout only. `failures` are its failed
    devices by `error.code`, the most frequent code first. A list, and the response to a command,
    omit them if an earlier release has stored some.

    `joined` counts the devices that have joined a rollout with joiners. All devices that met the
    condition at `joiners_checked_at` have joined, as far as the hub's query knew of them.
    """

    id: str
    revision: Count
    status: RolloutStatus
    status_reason: ReasonSchema | None
    firmware: FirmwareSchema
    target: TargetSchema
    strategy: StrategySchema
    labels: dict[str, str]
    created_at: Time
    created_by: IdentitySchema
    start_at: Time | None
    started_at: Time | None
    ended_at: Time | None
    counts: CountsSchema
    waves: list[WaveSchema]
    strata: list[StratumSchema] | None = omitted_if_none()
    failures: list[FailureSchema] | None = omitted_if_none()
    gate: list[GateViewSchema]
    gate_history: list[GateStepSchema] | None = omitted_if_none()
    rollback_of: str | None
    rolled_back_by: str | None
    joined: Count | None = omitted_if_none()
    joiners_checked_at: Time | None = omitted_if_none()
    devices: list[DeviceUpdateSchema] | None = omitted_if_none()
    warnings: list[PlanWarningSchema] | None = omitted_if_none()

    @classmethod
    def of(
        cls,
        rollout: Rollout,
        /,
        device_ids: Sequence[str] | None = None,
        updates: Sequence[DeviceUpdate] = (),
        strata: Sequence[StratumView] = (),
        gate: Sequence[GateView] = (),
        **others: Any,
    ) -> Self:
        """Return a rollout; `device_ids` are those of a short list, `updates` those to show."""
        rollback = rollout.rollback
        devices = [DeviceUpdateSchema.of(update, rollout=rollout) for update in updates]
        definition = rollout.definition
        return super().of(
            rollout,
            status_reason=_reason(rollout),
            firmware=FirmwareSchema.of(definition.firmware),
            target=TargetSchema.of(rollout, device_ids=device_ids),
            strategy=StrategySchema.of(definition.strategy),
            labels=dict(definition.labels),
            failures=_failures(rollout),
            gate=[GateViewSchema.of(item) for item in gate],
            created_at=definition.created_at,
            created_by=IdentitySchema.of(definition.created_by),
            start_at=definition.start_at,
            rollback_of=definition.rollback_of,
            rolled_back_by=rollback.rollback_id if isinstance(rollback, RolledBack) else None,
            joined=rollout.joining.joined if definition.target.joiners else None,
            joiners_checked_at=rollout.joining.checked_at,
            devices=devices or None,
            strata=[StratumSchema.of(item) for item in strata] or None,
            **{"warnings": None, "gate_history": None, **others},
        )

    @classmethod
    def of_new(
        cls,
        rollout: Rollout,
        updates: Sequence[DeviceUpdate],
        warnings: Sequence[Any] = (),
        strata: Sequence[StratumView] = (),
        gate: Sequence[GateView] = (),
    ) -> Self:
        """Return a new rollout; `updates` are of devices that were started at once, or none."""
        is_list = bool(updates) and rollout.definition.target.condition is None
        device_ids = [update.device_id for update in updates] if is_list else None
        shown = [PlanWarningSchema.of(warning) for warning in warnings]
        return cls.of(rollout, device_ids, updates, strata, gate, warnings=shown or None)


class RolloutsSchema(PageSchema):
    """A page of rollouts."""

    value: list[RolloutSchema]
    next_link: Link | None = omitted_if_none()
