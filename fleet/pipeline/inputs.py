"""Read the inputs of the action or template, which are environment variables.

A text of a release or a branch that comes in a variable is never a part of a command.
"""

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from fleet.exit_codes import UsageError
from fleet.rollout_options import RolloutOptions

PREFIX = "FLEET_INPUT_"

Step = Literal["plan", "create", "wait"]
STEPS: tuple[Step, ...] = get_args(Step)


class Inputs:
    """The inputs by name. One that is empty counts as not given."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment

    def text(self, name: str) -> str | None:
        return self._environment.get(PREFIX + name.upper(), "").strip() or None

    def lines(self, name: str) -> list[str]:
        """Return the lines that are not empty, without spaces at their ends."""
        return [line.strip() for line in (self.text(name) or "").splitlines() if line.strip()]

    def flag(self, name: str, *, default: bool) -> bool:
        """Return whether an input is `true`. Raises UsageError unless it is `true` or `false`."""
        text = (self.text(name) or str(default)).lower()
        if text not in {"true", "false"}:
            raise UsageError(f"{_shown(name)} is true or false, not {text!r}.")
        return text == "true"

    def steps(self) -> list[Step]:
        """Return what to do, in its order. Raises UsageError."""
        wanted = (self.text("steps") or ", ".join(STEPS)).replace(",", " ").split()
        for name in wanted:
            if name not in STEPS:
                raise UsageError(f"steps are {', '.join(STEPS)}, not {name!r}.")
        return [name for name in STEPS if name in wanted]

    def rollout(self) -> RolloutOptions:
        """Return the options that describe the rollout. Raises UsageError."""
        hints = get_type_hints(RolloutOptions)
        values: dict[str, Any] = {}
        for item in fields(RolloutOptions):
            kind, text = hints[item.name], self.text(item.name)
            if text is None:
                continue
            if kind == list[str]:
                values[item.name] = self.lines(item.name)
            elif kind == bool | None:
                values[item.name] = self.flag(item.name, default=True)
            elif kind == Path | None:
                values[item.name] = Path(text)
            else:
                values[item.name] = _whole(item.name, text) if kind == int | None else text
        return RolloutOptions(**values)


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"{_shown(name)} is a whole number, not {text!r}.")
    return int(text)


def _shown(name: str) -> str:
    """Return the name of an input as a build file has it."""
    return name.replace("_", "-")
