"""Say in a plan which strata the failure gate will be able to judge."""

from collections import Counter

from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.strategy import FailureGate, OnBreach
from functions.rollouts.rollout import gate
from functions.rollouts.rollout.strata import MIN_JUDGED, Strata, find_strata
from functions.use_cases.conflicts import name_first
from functions.use_cases.target_devices import FoundDevices


def describe_strata(request: NewRollout, found: FoundDevices) -> tuple[str, str, int] | None:
    """Return the code, message and count of a warning about strata; None if nothing is amiss."""
    strategy = request.strategy
    if not strategy.stratify_by:
        return None
    if not found.complete:
        message = (
            "The strata of this target are found when it is resolved; the rollout then shows which"
            " of them are too small to be judged."
        )
        return "strataNotKnown", message, len(found.devices)
    strata = find_strata(strategy, found.devices)
    if len(strata.names) < MIN_JUDGED:
        action = strategy.failure_gate.on_breach
        effect = " A breach pauses the rollout." if action is OnBreach.FREEZE else ""
        message = f"All devices are in one stratum, so strata are not judged.{effect}"
        return "oneStratum", message, 1
    small = _list_small(strategy.failure_gate, strata)
    if not small:
        return None
    message = (
        f"{_count(len(small))} too small to be judged alone, even if all devices fail:"
        f" {name_first(small)}. The gate of each wave still counts these devices."
    )
    return "stratumTooSmall", message, len(small)


def _list_small(failure_gate: FailureGate, strata: Strata) -> list[str]:
    """Return the name and size of each stratum that its gate could never stop."""
    limits = gate.limits_for(failure_gate, 2 * len(strata.names))
    sizes = Counter(strata.index_by_device.values())
    return [
        f"{name} ({sizes[number]})"
        for number, name in enumerate(strata.names)
        if gate.failures_to_breach(limits, sizes[number]) is None
    ]


def _count(strata: int) -> str:
    return "1 stratum is" if strata == 1 else f"{strata} strata are"
