"""Check moves against the tables of allowed moves: of device updates, waves and rollouts."""

from collections.abc import Mapping
from enum import StrEnum


class IllegalMoveError(RuntimeError):
    """The rules moved something against its table of allowed moves: a mistake in the code."""


def check_move[S: StrEnum](allowed: Mapping[S, frozenset[S]], before: S, after: S) -> None:
    """Raise IllegalMoveError unless `allowed` has the move from `before` to `after`."""
    if after not in allowed[before]:
        raise IllegalMoveError(f"{type(before).__name__} must not move from {before} to {after}")
