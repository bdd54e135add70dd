"""A reason that programs and people can read."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why something is as it is."""

    code: str  # for programs
    message: str  # a sentence for people, with its numbers
