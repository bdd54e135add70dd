"""Any strategy of a valid request, for properties of what is shown and stored of it."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st

from functions.rollouts.model.strategy import (
    Day,
    FailureGate,
    Offline,
    OfflinePolicy,
    OnBreach,
    OnConflict,
    ResolveTarget,
    Retry,
    RetryOn,
    Share,
    Strategy,
    WavePlan,
    WhenAlreadyRunning,
    Window,
)

durations = st.timedeltas(timedelta(microseconds=1), timedelta(days=365))
shares = st.integers(0, 10_000).map(Share)
waves = st.builds(
    WavePlan,
    size=st.integers(1, 1_000_000) | st.integers(1, 10_000).map(Share),
    name=st.none() | st.text("abc ä\U0001f680'\"\\", min_size=1, max_size=64),
    approval=st.booleans(),
)
gates = st.builds(
    FailureGate,
    acceptable=st.integers(1, 5_000).map(Share),
    unacceptable=st.integers(5_001, 9_999).map(Share),
    confidence=st.floats(0.51, 0.9999),
    on_breach=st.sampled_from(OnBreach),
)
times = st.times().map(lambda value: value.replace(second=0, microsecond=0))


def _name_strata(strategy: Strategy) -> Strategy:
    """Give a strategy that freezes the strata that it needs."""
    if strategy.failure_gate.on_breach is not OnBreach.FREEZE or strategy.stratify_by:
        return strategy
    return replace(strategy, stratify_by=("tags.model",))


strategies = st.builds(
    Strategy,
    waves=st.lists(waves, max_size=5, unique_by=lambda wave: wave.name or object()).map(tuple),
    success_share=st.none() | shares,
    min_completed=st.integers(0, 1_000_000) | shares,
    failure_gate=gates,
    stratify_by=st.lists(st.sampled_from(["tags.model", "tags.site"]), max_size=3).map(tuple),
    soak=durations | st.just(timedelta(0)),
    max_in_flight=st.none() | st.integers(1, 1_000_000),
    timeout=durations,
    retry=st.builds(
        Retry,
        attempts=st.integers(1, 100),
        on=st.frozensets(st.sampled_from(RetryOn)),
        initial_delay=durations,
        max_delay=durations,
    ),
    offline=st.builds(Offline, policy=st.sampled_from(OfflinePolicy), deadline=durations),
    on_conflict=st.sampled_from(OnConflict),
    resolve_target=st.sampled_from(ResolveTarget),
    window=st.none()
    | st.builds(
        Window,
        start=times,
        end=times,
        timezone=st.sampled_from(["UTC", "Europe/Berlin"]),
        days=st.frozensets(st.sampled_from(Day)),
    ),
    verify_version=st.booleans(),
    when_already_running=st.sampled_from(WhenAlreadyRunning),
).map(_name_strata)
