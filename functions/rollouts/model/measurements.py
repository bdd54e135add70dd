"""What a rollout has measured: of the hub, and of how long its devices take."""

from dataclasses import dataclass

from functions.rollouts.model.usage import NO_USAGE, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class HubLoad:
    """What was measured of the hub since the timer last read it, for the pacing."""

    methods: int = 0  # direct methods invoked
    throttled: int = 0  # of these, refused by the hub with 429
    seconds: float = 0.0  # longest mean duration of a batch's method calls
    responded: int = 0  # methods that the device responded to, or the hub said why not
    failed: int = 0  # methods, or the reads before them, that failed at the hub; 429 too
    refused: int = 0  # of the failed, those for which the hub refuses this app
    silent: int = 0  # methods without a response, where the hub did not fail
    example: str = ""  # what the latest failed or silent one ended with
    starts: int = 0  # devices invoked by the request that created the rollout
    queries: int = 0  # queries sent by that request
    usage: Usage = NO_USAGE  # of the hub's messages of the day


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """Figures that set how fast the rollout goes on and when its devices are observed."""

    hub_load: HubLoad = HubLoad()
    finished: int = 0  # devices that reported the end of their update
    finish_seconds: float = 0.0  # sum of their seconds from the direct method to that report
    # Of the first devices of each stratum: how many were invoked, and were connected right before.
    invoked: tuple[tuple[int, int], ...] = ()
    first_invoked: tuple[tuple[int, int], ...] = ()  # the same of fewer devices of each
