"""What the command `rehearse` does once its arguments are read."""

import json
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from functions.errors import InvalidError, MalformedError
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.rollout.pacing import Tier, quotas
from functions.wire import create_request
from simulator.rehearsal import chart, outcome, report
from simulator.rehearsal.options import RehearsalOptions
from simulator.rehearsal.rehearse import Rehearsal, rehearse
from simulator.rehearsal.virtual_fleet import device_ids
from simulator.simulated_fleet.shares import share

DEVICES = 1000
# Stands in for a target that a file leaves out, while the request is checked.
_ANY = {"deviceIds": ["any"]}
# As the service's own setting has it: of less, a rollout would hardly start, and of nothing never.
_LEAST_HUB_SHARE = 1


class ChartError(Exception):
    """The chart could not be written."""


def rehearsal_of(options: RehearsalOptions) -> Rehearsal:
    """Return the rehearsal that the options ask for.

    Raises RequestError for what POST /rollouts would refuse, ValueError for a wrong share, OSError.
    """
    return Rehearsal(
        request=_request(options.file.read_bytes(), options.devices),
        limits=quotas(Tier(options.tier), options.units, _hub_share(options.share)),
        shares=options.shares,
        seed=options.seed,
    )


def run(rehearsal: Rehearsal, chart_file: Path | None, *, as_json: bool) -> str:
    """Rehearse, show the outcome, and give the status that it ended with.

    Raises InvalidError for a request that a create would refuse, ChartError.
    """
    ended, timeline = rehearse(rehearsal)
    if as_json:
        print(json.dumps(outcome.as_json(ended, timeline), indent=2))
    else:
        report.show(Console(), ended, timeline)
    if chart_file is not None:
        _draw(chart_file, chart.chart(ended.rollout, timeline))
    return ended.rollout.status.value


def _hub_share(text: str) -> float:
    percent = share(text)
    if percent < _LEAST_HUB_SHARE:
        raise ValueError(f"--share must be from 1% to 100%, not {text}")
    return float(percent) / 100


def _draw(file: Path, svg: str) -> None:
    try:
        file.write_text(svg, "utf-8")
    except OSError as error:
        raise ChartError(f"the chart could not be written: {error}") from error


def _request(body: bytes, devices: int | None) -> NewRollout:
    """The file's rollout for a made-up fleet, or for the devices that it names itself."""
    try:
        value = json.loads(body)
    except ValueError as error:
        raise MalformedError(f"The file is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidError("The file is not a JSON object.")
    target = value.get("target")
    listed = isinstance(target, dict) and "deviceIds" in target
    request = create_request.parse(json.dumps({**value, "target": target or _ANY}).encode())
    if devices is None and listed:
        return request
    ids = tuple(device_ids(devices or DEVICES))
    return replace(request, device_ids=ids, condition=None, plan_hash=None)
