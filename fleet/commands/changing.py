"""The command that changes the strategy of an open rollout."""

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import typer

from fleet.commands.following import RolloutId
from fleet.commands.steps import By
from fleet.exit_codes import ExitCode, UsageError
from fleet.session import Session
from fleet.strategy_options import (
    Acceptable,
    MaxInFlight,
    MaxNotStarted,
    MinCompleted,
    OnBreach,
    Soak,
    SuccessShare,
    Timezone,
    Unacceptable,
    UpdateTimeout,
    Window,
)

CLEARABLE = ("success-share", "max-in-flight", "window")


@dataclass(frozen=True)
class ChangeOptions:
    """The parts of a strategy that may be changed; what is not given stays as it is."""

    wave: Annotated[
        list[str],
        typer.Option(help="NAME=SIZE; all waves, those that have opened first, as they are"),
    ] = field(default_factory=list)
    success_share: SuccessShare = None
    min_completed: MinCompleted = None
    max_not_started: MaxNotStarted = None
    acceptable: Acceptable = None
    unacceptable: Unacceptable = None
    on_breach: OnBreach = None
    soak: Soak = None
    max_in_flight: MaxInFlight = None
    update_timeout: UpdateTimeout = None
    window: Window = None
    timezone: Timezone = None


def change(
    session: Session,
    rollout: RolloutId,
    wanted: ChangeOptions,
    reason: Annotated[str, typer.Option(help="for the audit trail")],
    clear: Annotated[
        list[str] | None, typer.Option(help="success-share, max-in-flight or window: none; repeat")
    ] = None,
    revision: Annotated[
        int | None, typer.Option(help="refuse the change if the rollout is at another revision")
    ] = None,
    by: By = None,
) -> ExitCode:
    """Change an open rollout: gate, shares, limits, times, waves."""
    from fleet.service import rollout_path
    from fleet.texts import status_line

    body = {"strategy": build_strategy(wanted, clear or []), "reason": reason}
    found = session.service.send(
        "PATCH",
        rollout_path(rollout),
        body if by is None else {**body, "by": by},
        headers={} if revision is None else {"If-Match": f'"{revision}"'},
    )
    if session.for_programs:
        session.print_json(found)
    else:
        print(f"rollout {found['id']} (revision {found['revision']}) is {status_line(found)}")
    return ExitCode.DONE


def build_strategy(wanted: ChangeOptions, clear: list[str]) -> dict[str, Any]:
    """Return the merge patch of the strategy. Raises UsageError."""
    from fleet.rollout_options import RolloutOptions, strategy_of

    given = asdict(wanted)
    unknown = [name for name in clear if name not in CLEARABLE]
    if unknown:
        raise UsageError(f"--clear takes {', '.join(CLEARABLE)}, not {unknown[0]!r}.")
    cleared = {name: name.replace("-", "_") for name in clear}
    both = [name for name, field_name in cleared.items() if given[field_name] is not None]
    if both:
        raise UsageError(f"Set --{both[0]} or --clear {both[0]}, not both.")
    patch = strategy_of(RolloutOptions(**given))
    patch |= {_to_camel(field_name): None for field_name in cleared.values()}
    if not patch:
        raise UsageError("Change what? Give at least one option, such as --max-in-flight 20.")
    return patch


def _to_camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)
