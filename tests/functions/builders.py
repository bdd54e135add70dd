"""Make records with defaults, so that a test names only the values that matter to it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any

from functions.rollouts.device.moment import Moment, moment_of
from functions.rollouts.model.audit_trail import AuditTrail
from functions.rollouts.model.block import (
    BLOCK_SIZE,
    Block,
    blocks_for,
    untouched_summaries,
)
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate, HistoryEntry
from functions.rollouts.model.dispatch import Dispatch
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.gate_sequence import GateSequence
from functions.rollouts.model.measurements import Measurements
from functions.rollouts.model.rollout import Definition, Rollout, RolloutStatus
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.model.target import Target
from functions.rollouts.model.wave import Counts, Wave, WaveStatus, count
from functions.rollouts.rollout import start_clock

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
_GROUPS = {
    "definition": Definition,
    "dispatch": Dispatch,
    "measured": Measurements,
    "audit": AuditTrail,
}
_GROUP_OF = {field.name: group for group, kind in _GROUPS.items() for field in fields(kind)}
ROLLOUT_ID = "98233500000000-0123456789ab"


def at(seconds: float) -> datetime:
    """Return the time that is `seconds` after noon."""
    return NOON + timedelta(seconds=seconds)


def make_wave(size: int = 1, *, first: int = 0, name: str = "all", **values: Any) -> Wave:
    """Make a running wave. Its devices are queued unless `counts` is given."""
    known: dict[str, Any] = {
        "status": WaveStatus.RUNNING,
        "counts": Counts(queued=size),
        "sequence": make_sequence(values.get("counts", Counts())),
        "started_at": NOON,
    }
    return Wave(name=name, first=first, size=size, **(known | values))


def make_sequence(counts: Counts) -> GateSequence:
    """Make the sequence of a wave: first the healthy devices, then the failed, then the others."""
    finished = counts.healthy + counts.failed
    return GateSequence(
        started=finished + counts.updating,
        in_flight=counts.updating + counts.soaking,
        failed=tuple(range(counts.healthy + 1, finished + 1)),
    )


def with_counts(wave: Wave, counts: Counts) -> Wave:
    """Set a wave's counts. The next of its devices in flight have failed."""
    finished = wave.counts.healthy + wave.counts.failed
    sequence = wave.sequence
    for number in range(counts.failed - wave.counts.failed):
        rank = finished + number + 1
        sequence = sequence.start() if rank > sequence.started else sequence
        sequence = sequence.fail(rank)
    return replace(wave, counts=counts, sequence=sequence)


def make_waves(*waves: Wave) -> tuple[Wave, ...]:
    """Number the waves' first positions, one wave after the other."""
    ordered: list[Wave] = []
    first = 0
    for wave in waves:
        ordered.append(replace(wave, first=first))
        first += wave.size
    return tuple(ordered)


def make_rollout(
    *waves: Wave,
    strategy: Strategy | None = None,
    rollout_id: str = ROLLOUT_ID,
    **values: Any,
) -> Rollout:
    """Make a running rollout of these waves, or of one device, with a summary of each block.

    `values` are fields of the rollout or of its groups, as for `change`.
    """
    ordered = make_waves(*(waves or (make_wave(),)))
    rollout = Rollout(
        id=rollout_id,
        definition=Definition(
            firmware=Firmware(version="2.4.0", package_uri="https://packages.example/fw-2.4.0.bin"),
            target=Target(),
            strategy=strategy or Strategy(),
            labels={},
            created_at=NOON,
        ),
        status=RolloutStatus.RUNNING,
        started_at=NOON,
        waves=ordered,
        block_summaries=untouched_summaries(blocks_for(sum(wave.size for wave in ordered))),
    )
    return change(rollout, **values)


def change(rollout: Rollout, **values: Any) -> Rollout:
    """Replace fields of the rollout, or of the records that group its fields."""
    own: dict[str, Any] = {}
    grouped: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        group = _GROUP_OF.get(name)
        (own if group is None else grouped.setdefault(group, {}))[name] = value
    changed = {name: replace(getattr(rollout, name), **new) for name, new in grouped.items()}
    return replace(rollout, **changed, **own)


def make_update(device_id: str = "thermostat-1", **values: Any) -> DeviceUpdate:
    """Make a queued device update."""
    queued = HistoryEntry(DeviceState.QUEUED, 1, NOON, "The rollout was created.")
    known: dict[str, Any] = {
        "wave": 0,
        "queued_at": NOON,
        "updated_at": NOON,
        "history": (queued,),
    }
    return DeviceUpdate(device_id=device_id, **(known | values))


def make_blocks(updates: Iterable[DeviceUpdate]) -> dict[int, Block]:
    """Make the blocks of these updates, by number."""
    return {
        number: Block(number, tuple(part))
        for number, part in enumerate(batched(updates, BLOCK_SIZE, strict=False))
    }


def counted(rollout: Rollout, updates: Sequence[DeviceUpdate]) -> Rollout:
    """Set the counters of the rollout's waves from the updates, which are in start order."""
    waves = (
        replace(
            wave,
            counts=(counts := count(item.state for item in updates[wave.first :][: wave.size])),
            sequence=make_sequence(counts),
        )
        for wave in rollout.waves
    )
    return replace(rollout, waves=tuple(waves))


def make_moment(
    seconds: float = 0,
    strategy: Strategy | None = None,
    *,
    rollout: Rollout | None = None,
    jitter: float = 1.0,
) -> Moment:
    """Make a moment `seconds` after noon; with `jitter` 1 every wait has its full length."""
    known = rollout or make_rollout(strategy=strategy)
    startable = start_clock.advance(known, at(seconds)).counted
    return moment_of(known, at(seconds), lambda: jitter, startable)


def make_twin(
    *, device_id: str = "thermostat-1", connected: bool = True, **reported: tuple[Any, float]
) -> DeviceTwin:
    """Make a twin; each reported property is given as (value, seconds after noon)."""
    return twin_of(reported, device_id=device_id, connected=connected)


def twin_of(
    reported: Mapping[str, tuple[Any, float]],
    *,
    device_id: str = "thermostat-1",
    connected: bool = True,
) -> DeviceTwin:
    """Make a twin as `make_twin` does, from a mapping."""
    return DeviceTwin(
        device_id=device_id,
        connected=connected,
        reported={name: value for name, (value, _) in reported.items()},
        reported_at={name: at(seconds) for name, (_, seconds) in reported.items()},
    )


def speaking_twin(
    status: str,
    seconds: float,
    *,
    attempt: int = 1,
    connected: bool = True,
    rollout_id: str = ROLLOUT_ID,
    version: tuple[str, float] | None = None,
    **about: Any,
) -> DeviceTwin:
    """Make the twin of a device whose reports name their rollout.

    Without a `version`, a completed device runs the rollout's, any other its old one.
    """
    known = ("2.4.0", seconds) if status == "completed" else ("1.0.0", -1000.0)
    update = {"rolloutId": rollout_id, "attempt": attempt, **about}
    return make_twin(
        connected=connected,
        firmwareStatus=(status, seconds),
        firmwareUpdate=(update, seconds),
        firmwareVersion=version or known,
    )
