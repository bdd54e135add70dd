"""Carry out the command `rehearse` once its arguments are parsed."""

import json
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from functions.errors import InvalidError, MalformedError
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.quotas import Tier, quotas
from functions.wire import create_request
from simulator.rehearsal import chart, outages, outcome, report, strata
from simulator.rehearsal.options import RehearsalOptions
from simulator.rehearsal.rehearse import Rehearsal, rehearse
from simulator.rehearsal.virtual_fleet import Timing, device_ids
from simulator.simulated_fleet.shares import share

DEFAULT_DEVICES = 1000
# Replaces a target that the file omits, so that the request can be validated.
_ANY_TARGET = {"deviceIds": ["any"]}
# Stands for the package of a version that the service's catalogue has; no device downloads it.
_ANY_PACKAGE = "https://packages.invalid/firmware.bin"
# The service's own setting has the same minimum; below it a rollout would hardly start.
_MIN_HUB_SHARE_PERCENT = 1


class ChartError(Exception):
    """The chart could not be written."""


def read_rehearsal(options: RehearsalOptions) -> Rehearsal:
    """Return the rehearsal of the options.

    Raises RequestError for a request that POST /rollouts would reject, ValueError for invalid
    shares, strata or outages, OSError.
    """
    planned = strata.complete(options.stratum)
    for stratum, _ in planned:
        stratum.shares(options.shares)
    outages.check(options.outage, [stratum.name for stratum, _ in planned])
    return Rehearsal(
        request=_read_request(options.file.read_bytes(), options.devices),
        limits=quotas(
            Tier(options.tier),
            options.units,
            _read_hub_share("--share", options.share),
            daily_share=_read_hub_share("--daily-share", options.daily_share),
        ),
        shares=options.shares,
        timing=Timing(update_takes=options.update_takes, fail_after=options.fail_after),
        strata=tuple(options.stratum),
        outages=tuple(options.outage),
        seed=options.seed,
    )


def run(rehearsal: Rehearsal, chart_file: Path | None, *, as_json: bool) -> str:
    """Run the rehearsal, print the outcome, write the chart, and return the status of the rollout.

    Raises InvalidError for a request that POST /rollouts would reject, ChartError.
    """
    ended, timeline = rehearse(rehearsal)
    if as_json:
        print(json.dumps(outcome.to_json(ended, timeline), indent=2))
    else:
        report.print_report(Console(), ended, timeline)
    if chart_file is not None:
        _write_chart(chart_file, chart.draw_chart(ended.rollout, timeline, ended.outages))
    return ended.rollout.status.value


def _read_hub_share(option: str, text: str) -> float:
    percent = share(text)
    if percent < _MIN_HUB_SHARE_PERCENT:
        raise ValueError(f"{option} must be from 1% to 100%, not {text}")
    return float(percent) / 100


def _write_chart(file: Path, svg: str) -> None:
    try:
        file.write_text(svg, "utf-8")
    except OSError as error:
        raise ChartError(f"the chart could not be written: {error}") from error


def _read_request(body: bytes, devices: int | None) -> NewRollout:
    """Return the file's rollout for `devices` virtual devices, or for the ids that it lists."""
    try:
        value = json.loads(body)
    except ValueError as error:
        raise MalformedError(f"The file is not valid JSON: {error}") from None
    except RecursionError:
        raise MalformedError("The file is not valid JSON: it is nested too deeply.") from None
    if not isinstance(value, dict):
        raise InvalidError("The file must contain a JSON object.")
    target = value.get("target")
    lists_ids = isinstance(target, dict) and "deviceIds" in target
    request = create_request.parse(json.dumps({**value, "target": target or _ANY_TARGET}).encode())
    if not request.firmware.package_uri:
        request = replace(request, firmware=replace(request.firmware, package_uri=_ANY_PACKAGE))
    if devices is None and lists_ids:
        return request
    ids = tuple(device_ids(devices or DEFAULT_DEVICES))
    return replace(request, device_ids=ids, condition=None, plan_hash=None)
