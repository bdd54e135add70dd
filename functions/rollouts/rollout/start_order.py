"""Order devices for their start, and cut that order into waves.

The order looks random but is not: devices are ranked by a hash of rollout and device, so that it
can be had again from the same target, and no device comes first in every rollout. With strata
(models, sites), every wave is spread over them in proportion to their sizes.

All shares are computed exactly.
"""

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate, chain, repeat
from math import ceil

from functions.rollouts.model import texts
from functions.rollouts.model.strategy import Share, WavePlan
from functions.rollouts.model.target import TargetDevice
from functions.rollouts.model.wave import Counts, Wave


class WavesError(ValueError):
    """The requested waves cannot be built; the message is for the caller."""


class OpenedWavesError(WavesError):
    """The requested waves change a wave that has opened."""


def plan_waves(plans: Sequence[WavePlan], total: int) -> tuple[Wave, ...]:
    """Return the waves of `total` devices: the planned ones, then one with all that are left.

    A share is cumulative. A wave ends at the share of `total` that all waves so far have together,
    rounded up, so 50% and 50% are 2 and 1 of 3 devices. A number of devices adds to that. A wave
    without a device is left out, and the next wave takes over its approval. Raises WavesError.
    """
    names, ends = _names(plans), _ends(plans, total)
    _check_fit(names, ends, total)
    rest = not ends or ceil(ends[-1]) < total
    _check_names([*names, "rest"] if rest else names)
    waves: list[Wave] = []
    first, approval = 0, False
    for name, plan, exact_end in zip(names, plans, ends, strict=True):
        end, approval = min(ceil(exact_end), total), approval or plan.approval
        if end > first:
            waves.append(_wave(name, first, end, approval=approval))
            first, approval = end, False
    if first < total:
        waves.append(_wave("rest" if plans else "all", first, total, approval=approval))
    return tuple(waves)


def replan_waves(
    plans: Sequence[WavePlan], present: Sequence[WavePlan], opened: Sequence[Wave], total: int
) -> tuple[Wave, ...]:
    """Return the waves by new `plans` of `total` devices, of which `opened` waves have opened.

    The opened waves stay as they are, and so must their plans among the `present` ones. The others
    take the positions that are left, in the same start order. Raises WavesError, OpenedWavesError.
    """
    _check_opened_plans(plans, present, _count_opened_plans(present, opened))
    end = opened[-1].first + opened[-1].size if opened else 0
    if end == total:
        raise OpenedWavesError("every wave has opened, so no wave can be changed any more")
    waves, names = list(opened), {wave.name for wave in opened}
    for wave in plan_waves(plans, total):
        wave_end = wave.first + wave.size
        if wave_end > end and wave.name not in names:
            waves.append(_wave(wave.name, end, wave_end, approval=wave.approval))
            end = wave_end
    return tuple(waves)


def _check_opened_plans(
    plans: Sequence[WavePlan], present: Sequence[WavePlan], opened: int
) -> None:
    """Raise OpenedWavesError unless the first `opened` plans are the present ones."""
    if list(plans[:opened]) == list(present[:opened]):
        return
    names = ", ".join(_names(present)[:opened])
    raise OpenedWavesError(
        f"waves that have opened cannot be changed; begin the list with them as they are: {names}"
    )


def _count_opened_plans(plans: Sequence[WavePlan], opened: Sequence[Wave]) -> int:
    """Return how many plans, from the first on, belong to waves that have opened."""
    names = _names(plans)
    return max((names.index(wave.name) + 1 for wave in opened if wave.name in names), default=0)


def empty_waves(plans: Sequence[WavePlan], waves: Sequence[Wave]) -> Sequence[str]:
    """Return the names of the planned waves that are left out, because no device is in them."""
    found = {wave.name for wave in waves}
    return [name for name in _names(plans) if name not in found]


def fit_waves(plans: Sequence[WavePlan], total: int) -> tuple[WavePlan, ...]:
    """Return the waves that a smaller target has devices for; the last may be cut."""
    found: list[WavePlan] = []
    first = Fraction()
    for plan, end in zip(plans, _ends(plans, total), strict=True):
        if end >= total + 1:
            left = total - ceil(first)
            return (*found, replace(plan, size=left)) if left else tuple(found)
        found.append(plan)
        first = end
    return tuple(found)


def start_order(
    rollout_id: str, devices: Iterable[TargetDevice], sizes: Sequence[int]
) -> list[str]:
    """Return all device ids in start order: the first `sizes[0]` are the first wave, and so on.

    Within a wave they are ordered by rank alone, so its strata are mixed from its first device
    on. A device given more than once counts once, in the stratum whose name sorts first. Raises
    ValueError if the sizes do not add up to the number of devices.
    """
    strata = _strata(devices)
    if sum(sizes) != len(strata):
        raise ValueError(f"waves of {sum(sizes)} devices for {len(strata)}")
    ranked = sorted(strata, key=_rank_in(rollout_id))
    stratum_sizes = Counter(strata.values())
    if len(stratum_sizes) <= 1:
        return ranked
    turns = _turns(stratum_sizes, sizes)
    waves: list[list[str]] = [[] for _ in sizes]
    for device_id in ranked:
        waves[next(turns[strata[device_id]])].append(device_id)
    return list(chain.from_iterable(waves))


def _names(plans: Sequence[WavePlan]) -> list[str]:
    return [plan.name or f"wave {number}" for number, plan in enumerate(plans, start=1)]


def _ends(plans: Sequence[WavePlan], total: int) -> list[Fraction]:
    """Return how many devices each planned wave and those before it are together, exactly."""
    sizes = (
        plan.size.of(total) if isinstance(plan.size, Share) else Fraction(plan.size)
        for plan in plans
    )
    return list(accumulate(sizes))


def _wave(name: str, first: int, end: int, *, approval: bool) -> Wave:
    size = end - first
    return Wave(name=name, first=first, size=size, approval=approval, counts=Counts(queued=size))


def _check_fit(names: Sequence[str], ends: Sequence[Fraction], total: int) -> None:
    """Raise WavesError if the waves exceed the target by a device; less comes from rounding."""
    first = 0
    for name, end in zip(names, ends, strict=True):
        if end >= total + 1:
            raise WavesError(
                f"waves need {texts.count(ceil(ends[-1]), 'device')}, the target has {total}: "
                f'"{name}" needs {ceil(end) - first}, {total - first} are left'
            )
        first = min(ceil(end), total)


def _check_names(names: Iterable[str]) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise WavesError(f'the names of waves must differ: {times} waves are called "{name}"')


def _strata(devices: Iterable[TargetDevice]) -> dict[str, str]:
    strata: dict[str, str] = {}
    for device in devices:
        known = strata.get(device.device_id)
        if known is None or device.stratum < known:
            strata[device.device_id] = device.stratum
    return strata


def _rank_in(rollout_id: str) -> Callable[[str], bytes]:
    def rank(device_id: str) -> bytes:
        return hashlib.sha256(f"{rollout_id}/{device_id}".encode()).digest()

    return rank


def _turns(strata: Mapping[str, int], sizes: Sequence[int]) -> dict[str, Iterator[int]]:
    """Return, for each stratum, the waves of its devices in the order of their ranks."""
    cuts = _cuts(_Shares(strata, tuple(accumulate(sizes))), sizes)
    parts: dict[str, list[Iterator[int]]] = {name: [] for name in strata}
    for wave, cut in enumerate(cuts):
        for name, devices in cut.items():
            parts[name].append(repeat(wave, devices))
    return {name: chain.from_iterable(waves) for name, waves in parts.items()}


@dataclass(frozen=True, slots=True)
class _Shares:
    """Strata with their sizes, and how many devices each wave and those before it are together.

    The exact share of a stratum in these is `ends[wave] * strata[name] / ends[-1]` devices.
    """

    strata: Mapping[str, int]
    ends: Sequence[int]

    def rounded_down(self, name: str, wave: int) -> int:
        return self.ends[wave] * self.strata[name] // self.ends[-1]

    def remainder(self, name: str, wave: int) -> int:
        """Return what rounding down leaves out, in units of 1 / target size."""
        return self.ends[wave] * self.strata[name] % self.ends[-1]

    def needed_by(self, name: str, wave: int) -> int:
        """Return the wave whose share, even rounded down, has one device more than this one's."""
        devices = self.rounded_down(name, wave) + 1
        return bisect_left(self.ends, -(-devices * self.ends[-1] // self.strata[name]))


def _cuts(shares: _Shares, sizes: Sequence[int]) -> Iterator[Mapping[str, int]]:
    """Return how many devices each wave takes of each stratum that is not used up.

    A wave takes one of each if it is large enough. Beyond that, the waves so far together have
    the exact share of each stratum rounded down or up, so that rounding does not add up from wave
    to wave; only if one of each is too much already, large strata have to wait.
    """
    taken: Counter[str] = Counter()
    for wave, size in enumerate(sizes):
        left = [name for name, devices in shares.strata.items() if taken[name] < devices]
        one = int(size >= len(left))
        due = {name: max(one, shares.rounded_down(name, wave) - taken[name]) for name in left}
        spare = size - sum(due.values())
        cut = _reduce(due, one, size) if spare < 0 else due
        if spare > 0:
            for name in _strata_to_round_up(shares, wave, taken + Counter(due))[:spare]:
                cut[name] += 1
        taken.update(cut)
        yield cut


def _strata_to_round_up(shares: _Shares, wave: int, taken: Mapping[str, int]) -> list[str]:
    """Return the strata that may have one device more than their share rounded down, in order.

    Largest remainder first, ties by name; but before them come those that need the device in an
    earlier wave. Earliest deadline first is what keeps every later wave within its range, too
    (Steiner and Yeomans, "Level Schedules for Mixed-Model, Just-in-Time Processes", 1993).
    """

    def turn(name: str) -> tuple[int, int, str]:
        return shares.needed_by(name, wave), -shares.remainder(name, wave), name

    return sorted(
        (
            name
            for name in shares.strata
            if shares.remainder(name, wave) and taken[name] <= shares.rounded_down(name, wave)
        ),
        key=turn,
    )


def _reduce(due: Mapping[str, int], one: int, size: int) -> dict[str, int]:
    """Reduce `due` to `size` devices in all: `one` of each, the rest by largest remainder."""
    seats = size - one * len(due)
    wanted = {name: devices - one for name, devices in due.items()}
    whole = sum(wanted.values())
    cut = {name: one + seats * devices // whole for name, devices in wanted.items()}
    by_remainder = sorted(wanted, key=lambda name: (-(seats * wanted[name] % whole), name))
    for name in by_remainder[: size - sum(cut.values())]:
        cut[name] += 1
    return cut
