"""The states of a block's devices, small enough to keep those of many rollouts in memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockStates:
    """The states of the devices of one block, in start order."""

    number: int
    revision: int  # of the block, as the rollout knew it when the block was read
    letters: str  # one for each device, see `state_letters`
    versions: tuple[str | None, ...]  # what each device ran before; None: not known
    strata: tuple[int | None, ...]  # index in the rollout's strata; None: it is not stratified
    started: Mapping[datetime, int]  # number of devices by when their latest attempt was sent
    ended: tuple[tuple[datetime, bool], ...]  # when devices completed or failed; True: completed
    examples: Mapping[str, str]  # the id of a failed device by the letter of its failure
