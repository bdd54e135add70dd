"""Options of a rehearsal, as the command `rehearse` reads them."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import typer

from simulator.command_line import option_parser
from simulator.rehearsal.durations import Durations, parse_durations
from simulator.rehearsal.outages import Outage, parse_outage
from simulator.rehearsal.strata import Stratum, parse_stratum
from simulator.rehearsal.virtual_fleet import DEFAULT_UPDATE
from simulator.simulated_fleet.shares import Shares


def _writable(chart: Path | None) -> Path | None:
    """Return a chart's file whose folder can be written to; typer checks files that exist."""
    if chart is None or chart.exists():
        return chart
    if chart.parent.is_dir() and os.access(chart.parent, os.W_OK | os.X_OK):
        return chart
    raise typer.BadParameter(f"{chart.parent} is not a folder that can be written to.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalOptions:
    """A rollout, the virtual fleet and hub that it runs on, and what is done with the outcome."""

    file: Annotated[
        Path,
        typer.Argument(
            help="The rollout: the JSON of POST /rollouts; its target may be left out.",
            exists=True,
            dir_okay=False,
        ),
    ]
    devices: Annotated[
        int | None,
        typer.Option(
            help="Number of virtual devices.", show_default="the target's ids, else 1000", min=1
        ),
    ] = None
    shares: Shares
    update_takes: Annotated[
        Durations,
        typer.Option(
            help="How long an update takes on a device: 10m, 6m..14m evenly, or ~10m log-normal.",
            parser=option_parser(parse_durations),
            metavar="<durations>",
        ),
    ] = DEFAULT_UPDATE
    fail_after: Annotated[
        Durations | None,
        typer.Option(
            help="How long a device of --fail takes until it reports its failure.",
            parser=option_parser(parse_durations),
            metavar="<durations>",
            show_default="as --update-takes",
        ),
    ] = None
    stratum: Annotated[
        list[Stratum],
        typer.Option(
            help="A value of stratifyBy, its share of the devices, and what its devices do "
            "otherwise than the others: berlin:60%:fail=20%. May be repeated.",
            parser=option_parser(parse_stratum),
            metavar="<name>[:<share>][:<option>=<value>]...",
            show_default=False,
        ),
    ] = field(default_factory=list)
    outage: Annotated[
        list[Outage],
        typer.Option(
            help="Devices are away for a time after the start of the rollout: 10m@30m, or "
            "10m@30m:berlin for a stratum, 10m@30m:20% for a share. May be repeated.",
            parser=option_parser(parse_outage),
            metavar="<length>@<start>[:<stratum>][:<share>]",
            show_default=False,
        ),
    ] = field(default_factory=list)
    seed: Annotated[int, typer.Option(help="Chooses those devices, and every other chance.")] = 1
    tier: Annotated[Literal["S1", "S2", "S3"], typer.Option(help="The hub's tier.")] = "S1"
    units: Annotated[int, typer.Option(help="Number of units of the tier.", min=1)] = 1
    share: Annotated[
        str, typer.Option(help="Share of the hub's quotas that rollouts may use, from 1%.")
    ] = "80%"
    daily_share: Annotated[
        str, typer.Option(help="Share of the hub's messages of a day for rollouts, from 1%.")
    ] = "30%"
    expect: Annotated[
        Literal["completed", "failed", "cancelled", "paused", "running"] | None,
        typer.Option(help="Exit with 1 if the rollout ends otherwise."),
    ] = None
    chart: Annotated[
        Path | None,
        typer.Option(
            help="Write devices by state over time to this file, SVG.",
            dir_okay=False,
            writable=True,
            callback=_writable,
        ),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False
