"""One device's way through one rollout."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.device_twin import NO_BASELINE, Baseline
from functions.rollouts.model.method_outcome import MethodResponse
from functions.rollouts.model.reason import Reason


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of a device update's history."""

    state: DeviceState
    attempt: int
    # Never earlier than the line before. The hub's time for a device's report, else this app's.
    at: datetime
    message: str  # why it moved to that state


class DeviceUpdate(NamedTuple):
    """One device's way through one rollout; built with keywords, changed with `_replace`.

    It is a named tuple because the rehearsal of a large fleet spends most of its time on copying
    device updates, and copying a dataclass takes six times as long.
    """

    device_id: str  # as the hub's identity registry has it
    wave: int  # the number of its wave, from 0
    queued_at: datetime  # when the rollout was created, or when the device joined it
    updated_at: datetime  # when this record last changed
    version: str | None = None  # the firmware it is to run; None: the rollout's own
    # Which of the rollout's packages of that version, from 0: in a rollback, devices may have
    # completed different packages of the same version.
    package: int = 0
    stratum: int | None = None  # index in the rollout's `strata`; None: it is not stratified
    state: DeviceState = DeviceState.QUEUED  # set by `device/moves.py` only
    # Its position in the order of its wave's starts, from 1; None: it has not started.
    start_rank: int | None = None
    stratum_rank: int | None = None  # the same in its stratum, over all waves; None: not judged
    has_accepted: bool = False  # accepted the method, in this attempt or an earlier one
    attempt: int = 1  # number of the current attempt; the direct method carries it
    # Lost responses, and attempts that timed out, failed or kept the device busy. The strategy's
    # `retry.attempts` limits them.
    attempts_used: int = 0
    delays: int = 0  # waits in a row, for the backoff
    waiting_since: datetime | None = None  # when they began; None: no wait
    # The rollout's start clock then, for the deadline; None if an earlier release stored the wait.
    waiting_from: timedelta | None = None
    # The rollout's start clock when a freeze first kept it from starting; None: none does.
    frozen_from: timedelta | None = None
    named_by_retry: bool = False  # a retry named it, so it starts although it is in quarantine
    offline: bool = False  # invoked again once it is seen connected
    # The device was seen offline during its wait, or right before its method: it is invoked as soon
    # as it is connected. Other devices are invoked only after their wait, because they may be
    # connected and not listen to direct methods.
    seen_offline: bool = False
    # When the next attempt may start, or, while dispatching, when the claim expires.
    # None: no time to wait for.
    not_before: datetime | None = None
    # A call of this attempt got no response: the device may have started. The attempt is kept
    # until the twin, or the response to a repeat, tells.
    in_doubt: bool = False
    # When a read of its twin first did not find the device. None: the last read found it.
    missing_since: datetime | None = None
    # When its twin may have news; None: no time of its own. Of a failed update, when its device is
    # observed for a late success; None: it is no longer.
    observe_at: datetime | None = None
    # When it was first observed offline, though its timeout or soak had expired; None: it was not.
    dark_since: datetime | None = None
    baseline: Baseline = NO_BASELINE  # what the twin held before the direct method was sent
    method: MethodResponse | None = None  # the latest response; None: none came
    firmware_status: str | None = None  # as the device last reported it
    progress_percent: int | None = None  # 0..100, as the device last reported it
    error: Reason | None = None  # why it failed; None: it has not failed
    skip_reason: SkipReason | None = None  # why it is skipped; None: it is not
    running_version: str | None = None  # as the device last reported it; None: it did not say
    previous_version: str | None = None  # what the device ran before; None: it did not say
    dispatched_at: datetime | None = None  # when this attempt's method was first sent
    accepted_at: datetime | None = None  # when the device accepted this attempt
    # When a soaking device has been healthy for long enough, or, if it was offline then, when it
    # is observed again.
    soak_until: datetime | None = None
    ended_at: datetime | None = None  # None: it has not ended
    explanation: str | None = None  # why it is where it is; None: the rollout says why
    history: tuple[HistoryEntry, ...] = ()  # oldest first; never empty in a rollout
