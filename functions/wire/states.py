"""The states of all devices of a rollout in responses, as short as they can be."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Self

from functions.rollouts.model.block import BLOCK_SIZE
from functions.rollouts.model.block_states import BlockStates
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.failure_count import FailureCount
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.state_letters import MEANINGS
from functions.wire.failure import FailureSchema
from functions.wire.fields import Count, Duration, Time
from functions.wire.rollout import RolloutSchema
from functions.wire.schema import Schema, omitted_if_none

# The letters of versions and strata; `~` stands for all further ones, `.` for none.
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_OTHER, _NONE = "~", "."
# A curve has at most this many points.
_MAX_POINTS = 120
_STEPS = (10, 30, 60, 300, 600, 1800, 3600, 6 * 3600, 86_400, 7 * 86_400)


class LetterSchema(Schema):
    """What a letter of `states` stands for; `reason` is an `error.code` or a `skipReason`."""

    state: DeviceState | None
    reason: str | None = omitted_if_none()


class BlockSchema(Schema):
    """Devices that follow each other in start order, one letter for each.

    `strata` is in the response to a request without `after` only, because a device's stratum
    does not change.
    """

    first: Count
    states: str
    versions: str
    strata: str | None = omitted_if_none()


class CurveSchema(Schema):
    """How many devices started and ended in each step of `step_seconds`, from the start on.

    A device starts when its latest attempt is first sent.
    """

    step_seconds: Count
    started: list[Count]
    completed: list[Count]
    failed: list[Count]


class ForecastSchema(Schema):
    """How fast healthy devices that are all connected would be updated, and what limits it.

    `starts_per_second` is what the hub's rates allow all rollouts together.
    """

    duration: Duration
    seconds_per_device: float
    limited_by: str
    starts_per_second: float
    starts_limited_by: str


class HaltSchema(Schema):
    """A time in which no device could start: the code of an outage, or `window`.

    `until` is null while an outage lasts; a closed window has the time at which it opens.
    """

    code: str
    message: str
    since: Time
    until: Time | None


class StatesSchema(Schema):
    """The states of a rollout's devices, for a page that shows all of them.

    With `after`, `blocks` are those that were written after that revision, and `rollout` is omitted
    if it has not changed. `ticked_at` is when the last tick began, null: none has; `tick_seconds`
    is the longest time between two by the schedule, null: it is irregular. `at` is the time of the
    response, or the requested one.
    """

    revision: Count
    at: Time
    ticked_at: Time | None
    tick_seconds: float | None
    total: Count
    event_count: Count
    letters: dict[str, LetterSchema]
    versions: list[str]
    strata: list[str] | None = omitted_if_none()
    blocks: list[BlockSchema]
    failures: list[FailureSchema]
    curve: CurveSchema | None
    forecast: ForecastSchema | None
    halts: list[HaltSchema]
    rollout: RolloutSchema | None = omitted_if_none()

    @classmethod
    def of_blocks(
        cls,
        rollout: Rollout,
        blocks: Sequence[BlockStates],
        /,
        *,
        after: int | None,
        at: datetime,
        failures: Sequence[FailureCount],
        **others: Any,
    ) -> Self:
        """Return the states of `blocks`; leave out those that `after` has shown."""
        shown = [block for block in blocks if after is None or block.revision > after]
        versions = _number(version for block in blocks for version in block.versions)
        strata = _number(range(len(rollout.strata))) if after is None else {}
        return cls.model_construct(
            revision=rollout.revision,
            at=at,
            total=rollout.total,
            event_count=rollout.audit.event_count,
            letters=_explain_letters(shown),
            versions=[version for version, letter in versions.items() if letter != _OTHER],
            strata=list(rollout.strata) if strata else None,
            blocks=[_show_block(block, versions, strata) for block in shown],
            failures=[FailureSchema.of(item) for item in failures],
            curve=_draw_curve(rollout, blocks, at),
            **others,
        )


def _number[T](values: Iterable[T | None]) -> dict[T, str]:
    """Return a letter for each different value, in the order of their first appearance."""
    known: dict[T, str] = {}
    for value in values:
        if value is not None and value not in known:
            known[value] = _LETTERS[len(known)] if len(known) < len(_LETTERS) else _OTHER
    return known


def _explain_letters(blocks: Sequence[BlockStates]) -> dict[str, LetterSchema]:
    used = sorted({letter for block in blocks for letter in block.letters})
    return {letter: LetterSchema.of(MEANINGS[letter]) for letter in used}


def _show_block(
    block: BlockStates, versions: Mapping[str, str], strata: Mapping[int, str]
) -> BlockSchema:
    return BlockSchema.model_construct(
        first=block.number * BLOCK_SIZE,
        states=block.letters,
        versions=_spell(block.versions, versions),
        strata=_spell(block.strata, strata) if strata else None,
    )


def _spell(values: Sequence[Any], letters: Mapping[Any, str]) -> str:
    return "".join(letters.get(value, _NONE) for value in values)


def _draw_curve(
    rollout: Rollout, blocks: Sequence[BlockStates], until: datetime
) -> CurveSchema | None:
    """Return how many devices started and ended in each step until now, or until the end."""
    start = rollout.started_at
    if start is None or until < start:
        return None
    length = (min(until, rollout.ended_at or until) - start).total_seconds()
    step = next((item for item in _STEPS if length < item * _MAX_POINTS), _STEPS[-1])
    points = int(length // step) + 1
    started, completed, failed = [0] * points, [0] * points, [0] * points

    def count(tally: list[int], at: datetime, devices: int = 1) -> None:
        point = int((at - start) / timedelta(seconds=step))
        tally[max(0, min(points - 1, point))] += devices

    for block in blocks:
        for at, devices in block.started.items():
            count(started, at, devices)
        for at, is_completed in block.ended:
            count(completed if is_completed else failed, at)
    return CurveSchema.model_construct(
        step_seconds=step, started=started, completed=completed, failed=failed
    )
