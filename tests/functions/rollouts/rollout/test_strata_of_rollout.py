"""Give a rollout its strata, and find those of devices that join."""

from dataclasses import replace

import pytest

from functions.rollouts.model.stratum import StratumGate
from functions.rollouts.model.target import TargetDevice
from functions.rollouts.model.wave import Counts, WaveStratum
from functions.rollouts.rollout import strata
from functions.rollouts.rollout.strata import Strata
from tests.functions.builders import make_rollout, make_wave, make_waves

ORDER = ["a", "b", "c", "d", "e"]
WAVES = make_waves(make_wave(2, name="canary"), make_wave(3, name="rest"))


def test_each_wave_counts_the_queued_devices_of_each_stratum() -> None:
    known = Strata(("large", "small"), {"a": 0, "b": 1, "c": 0, "d": 0, "e": 1})
    found = strata.add_strata(make_rollout(waves=()), known, ORDER, WAVES)
    queued = [[part.counts for part in wave.strata] for wave in found.waves]
    assert queued == [
        [Counts(queued=1), Counts(queued=1)],
        [Counts(queued=2), Counts(queued=1)],
    ]
    assert [replace(wave, strata=()) for wave in found.waves] == list(WAVES)
    assert found.strata == ("large", "small")
    assert found.stratum_gates == (StratumGate(), StratumGate())


def test_a_single_stratum_is_named_and_not_judged() -> None:
    known = Strata(("large",), dict.fromkeys(ORDER, 0))
    found = strata.add_strata(make_rollout(waves=()), known, ORDER, WAVES)
    assert (found.waves, found.strata, found.stratum_gates) == (WAVES, ("large",), ())


@pytest.mark.parametrize(
    ("names", "value", "index"),
    [
        (("x", "y"), "y", 1),
        (("x", "y"), "new", None),
        (("x", "y"), "", None),
        (("x", "(none)"), "", 1),
        (("x", "(other)"), "new", 1),
        (("x", "(other)"), "x", 0),
    ],
)
def test_a_device_that_joins_is_in_the_stratum_of_its_value_or_of_all_others(
    names: tuple[str, ...], value: str, index: int | None
) -> None:
    rollout = make_rollout(strata=names)
    assert strata.find_stratum(rollout, TargetDevice("d", value)) == index


def test_a_stratum_of_all_other_values_is_added_if_a_device_needs_it() -> None:
    part = WaveStratum(counts=Counts(queued=1))
    gates = (StratumGate(), StratumGate())
    waves = make_waves(make_wave(2, strata=(part, part)), make_wave(2, strata=(part, part)))
    rollout = make_rollout(*waves, strata=("x", "y"), stratum_gates=gates)
    known, new = TargetDevice("a", "x"), TargetDevice("b", "new")
    assert strata.prepare_strata(rollout, [known]) is rollout
    found = strata.prepare_strata(rollout, [known, new])
    assert (found.strata, len(found.stratum_gates)) == (("x", "y", "(other)"), 3)
    assert [wave.strata for wave in found.waves] == [(part, part, WaveStratum())] * 2
    alone = replace(rollout, stratum_gates=())
    assert strata.prepare_strata(alone, [new]) is alone
