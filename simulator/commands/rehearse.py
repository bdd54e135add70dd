"""The command `rehearse` on the command line; what it needs is imported inside it."""
# ruff: noqa: PLC0415

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

_WRONG_USAGE = 2
_SHARE = "Share of the devices that "


class PaidTier(StrEnum):
    """The tiers whose quotas pacing knows."""

    S1 = "S1"
    S2 = "S2"
    S3 = "S3"


class Ending(StrEnum):
    """How a rehearsal may end: as a rollout does, or where a person would be asked."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    RUNNING = "running"


def _may_be_made(chart: Path | None) -> Path | None:
    """A chart in a folder where one can be; typer looks at a file that exists already."""
    if chart is None or chart.exists():
        return chart
    if chart.parent.is_dir() and os.access(chart.parent, os.W_OK | os.X_OK):
        return chart
    raise typer.BadParameter(f"{chart.parent} is no folder to write to.")


def rehearse(
    file: Annotated[
        Path,
        typer.Argument(
            help="The rollout: the JSON of POST /rollouts; its target may be left out.",
            exists=True,
            dir_okay=False,
        ),
    ],
    *,
    devices: Annotated[
        int | None,
        typer.Option(
            help="How many devices to pretend.", show_default="the target's ids, else 1000", min=1
        ),
    ] = None,
    fail: Annotated[str, typer.Option(help=f"{_SHARE}report a failure.")] = "0%",
    hang: Annotated[str, typer.Option(help=f"{_SHARE}stop for good at downloading.")] = "0%",
    offline: Annotated[
        str, typer.Option(help=f"{_SHARE}are away at the start and come back within hours.")
    ] = "0%",
    revert: Annotated[
        str, typer.Option(help=f"{_SHARE}complete, and then run the old version again.")
    ] = "0%",
    seed: Annotated[int, typer.Option(help="Chooses which devices, and every other chance.")] = 1,
    tier: Annotated[PaidTier, typer.Option(help="The hub's tier.")] = PaidTier.S1,
    units: Annotated[int, typer.Option(help="How many units of it.", min=1)] = 1,
    share: Annotated[
        str, typer.Option(help="Share of the hub's quotas that rollouts may use, from 1%.")
    ] = "80%",
    expect: Annotated[Ending | None, typer.Option(help="Exit with 1 if it ends otherwise.")] = None,
    chart: Annotated[
        Path | None,
        typer.Option(
            help="Write devices by state over time to this file, SVG.",
            dir_okay=False,
            writable=True,
            callback=_may_be_made,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """A rollout on pretended devices and a virtual clock, in seconds.

    The rules are those of the service itself; devices, hub and time are pretended. It stops where
    a person would be asked, 400 days after its start at the latest. Exit codes: 0 done; 1 it
    ended otherwise than expected; 2 wrong usage, or a rollout that would be refused.
    """
    from functions.errors import RequestError
    from simulator.rehearsal import command

    said = command.Arguments(
        devices=devices,
        fail=fail,
        hang=hang,
        offline=offline,
        revert=revert,
        seed=seed,
        tier=tier.value,
        units=units,
        share=share,
    )
    try:
        options = command.options(file.read_bytes(), said)
    except (RequestError, ValueError) as error:
        raise _wrong_usage(error) from None
    try:
        outcome = command.run(options, chart, as_json=as_json)
    except (RequestError, command.ChartError) as error:
        raise _wrong_usage(error) from None
    raise typer.Exit(1 if expect is not None and outcome != expect.value else 0)


def _wrong_usage(error: Exception) -> typer.Exit:
    """Say what is wrong, and give the exit that follows."""
    from functions.errors import InvalidError

    typer.echo(f"error: {error}", err=True)
    for field in error.fields if isinstance(error, InvalidError) else ():
        typer.echo(f"  {field.pointer}: {field.detail}", err=True)
    return typer.Exit(_WRONG_USAGE)
