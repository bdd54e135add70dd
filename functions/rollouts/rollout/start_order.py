"""Order devices for their start, and cut that order into waves.

The order looks random but is not: devices are ranked by a hash of rollout and device, so that it
can be had again from the same target, and no device comes first in every rollout. With strata
(models, sites), every wave is spread over them in proportion to their sizes.

All shares are computed with integers.
"""

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain, repeat

from functions.rollouts.model import texts
from functions.rollouts.model.strategy import Share, WavePlan
from functions.rollouts.model.target import TargetDevice
from functions.rollouts.model.wave import Counts, Wave


class WavesError(ValueError):
    """The requested waves cannot be built; the message is for the caller."""


def plan_waves(plans: Sequence[WavePlan], total: int) -> tuple[Wave, ...]:
    """Return the waves of `total` devices: the planned ones, then one with all that are left.

    A share is of `total`, rounded up, and at least 1 device: 5% of 21 is 2. Rounding makes 50%
    twice 4 of 3 devices, which is as much too many as any other excess. Raises WavesError.
    """
    waves: list[Wave] = []
    first = 0
    for number, plan in enumerate(plans, start=1):
        name = plan.name or f"wave {number}"
        waves.append(_wave(name, first, _size(plan, total), approval=plan.approval))
        first += waves[-1].size
    _check_fit(waves, total)
    if first < total:
        waves.append(_wave("rest" if plans else "all", first, total - first))
    _check_names(waves)
    return tuple(waves)


def fit_waves(plans: Sequence[WavePlan], total: int) -> tuple[WavePlan, ...]:
    """Return the waves that a smaller target has devices for; the last may be cut."""
    left, found = total, []
    for plan in plans:
        size = plan.size.at_least(total) if isinstance(plan.size, Share) else plan.size
        if left <= 0:
            break
        found.append(plan if size <= left else replace(plan, size=left))
        left -= size
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


def _size(plan: WavePlan, total: int) -> int:
    if isinstance(plan.size, Share):
        return max(1, plan.size.at_least(total))
    return plan.size


def _wave(name: str, first: int, size: int, *, approval: bool = False) -> Wave:
    return Wave(name=name, first=first, size=size, approval=approval, counts=Counts(queued=size))


def _check_fit(waves: Sequence[Wave], total: int) -> None:
    requested = sum(wave.size for wave in waves)
    for wave in waves:
        if wave.first + wave.size > total:
            left = max(0, total - wave.first)
            raise WavesError(
                f"waves need {texts.count(requested, 'device')}, the target has {total}: "
                f'"{wave.name}" needs {wave.size}, {left} are left'
            )


def _check_names(waves: Sequence[Wave]) -> None:
    for name, times in Counter(wave.name for wave in waves).items():
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
    """Return less than is due: `one` of each, and of the rest a share by largest remainder."""
    seats = size - one * len(due)
    wanted = {name: devices - one for name, devices in due.items()}
    whole = sum(wanted.values())
    cut = {name: one + seats * devices // whole for name, devices in wanted.items()}
    by_remainder = sorted(wanted, key=lambda name: (-(seats * wanted[name] % whole), name))
    for name in by_remainder[: size - sum(cut.values())]:
        cut[name] += 1
    return cut
