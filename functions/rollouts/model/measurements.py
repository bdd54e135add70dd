"""What a rollout has measured: of the hub, and of how long its devices take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HubLoad:
    """What was measured of the hub since the timer last read it, for the pacing."""

    methods: int = 0  # direct methods invoked
    throttled: int = 0  # of these, refused by the hub with 429
    seconds: float = 0.0  # longest mean duration of a batch's method calls
    starts: int = 0  # devices invoked by the request that created the rollout
    queries: int = 0  # queries sent by that request


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """Figures that set how fast the rollout goes on and when its devices are observed."""

    hub_load: HubLoad = HubLoad()
    finished: int = 0  # devices that reported the end of their update
    finish_seconds: float = 0.0  # sum of their seconds from the direct method to that report
