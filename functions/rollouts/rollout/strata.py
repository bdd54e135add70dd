"""Divide the devices of a rollout into strata: one for each value of `stratifyBy`.

At most MAX_STRATA values have a stratum of their own, those of most devices. The devices with
other values share one more stratum.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.model.stratum import StratumGate
from functions.rollouts.model.target import TargetDevice
from functions.rollouts.model.wave import Counts, Wave, WaveStratum

# Each stratum is judged by itself, and the error rate is divided among all of them: of a thousand
# strata none could be found bad. Their counters are stored in the rollout's row for each wave.
MAX_STRATA = 50
MIN_JUDGED = 2  # of one stratum, the gate judges its waves anyway
OTHER = "(other)"
"""The name of the stratum of all values beyond MAX_STRATA."""
NO_VALUE = "(none)"
"""The name of the stratum of devices without a value."""


@dataclass(frozen=True, slots=True)
class Strata:
    """The strata of a rollout's devices."""

    names: tuple[str, ...]  # most devices first; empty: the rollout is not stratified
    index_by_device: Mapping[str, int]  # of the device's stratum in `names`, by device id


NO_STRATA = Strata((), {})


def add_strata(
    rollout: Rollout, strata: Strata, order: Sequence[str], waves: Sequence[Wave]
) -> Rollout:
    """Give a new rollout its waves and strata. `order` are its device ids in start order.

    Strata are judged only from MIN_JUDGED on.
    """
    if len(strata.names) < MIN_JUDGED:
        return replace(rollout, waves=tuple(waves), strata=strata.names)
    sizes = Counter(
        (number, strata.index_by_device[order[position]])
        for number, wave in enumerate(waves)
        for position in range(wave.first, wave.first + wave.size)
    )
    indexes = range(len(strata.names))
    divided = (
        replace(
            wave,
            strata=tuple(WaveStratum(counts=Counts(queued=sizes[number, n])) for n in indexes),
        )
        for number, wave in enumerate(waves)
    )
    gates = (StratumGate(),) * len(strata.names)
    return replace(rollout, waves=tuple(divided), strata=strata.names, stratum_gates=gates)


def find_strata(strategy: Strategy, devices: Iterable[TargetDevice]) -> Strata:
    """Return the strata of the devices, or NO_STRATA without `stratifyBy`.

    Strata of the same size are in the order of their names.
    """
    if not strategy.stratify_by:
        return NO_STRATA
    values = {device.device_id: device.stratum or NO_VALUE for device in devices}
    sizes = Counter(values.values())
    ranked = sorted(sizes, key=lambda name: (name == OTHER, -sizes[name], name))
    own = [name for name in ranked[:MAX_STRATA] if name != OTHER]
    names = (*own, OTHER) if len(own) < len(ranked) else tuple(own)
    indexes = {name: number for number, name in enumerate(names)}
    rest = len(own)
    return Strata(names, {item: indexes.get(name, rest) for item, name in values.items()})


def find_stratum(rollout: Rollout, device: TargetDevice) -> int | None:
    """Return the index of the stratum of a device that joins; None if it has none yet.

    A value that no device had before is in the stratum of all other values.
    """
    value = device.stratum or NO_VALUE
    names = rollout.strata
    name = value if value in names else OTHER
    return names.index(name) if name in names else None


def prepare_strata(rollout: Rollout, devices: Iterable[TargetDevice]) -> Rollout:
    """Add the stratum of all other values if one of the devices needs it.

    A rollout of one stratum stays as it is: its waves are judged alone.
    """
    is_complete = all(find_stratum(rollout, device) is not None for device in devices)
    if is_complete or not rollout.stratum_gates:
        return rollout
    return replace(
        rollout,
        strata=(*rollout.strata, OTHER),
        stratum_gates=(*rollout.stratum_gates, StratumGate()),
        waves=tuple(replace(wave, strata=(*wave.strata, WaveStratum())) for wave in rollout.waves),
    )
