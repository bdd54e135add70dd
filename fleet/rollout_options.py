"""The body of a create or plan, from a file, from options, or from both."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from fleet.body_file import read_body
from fleet.durations import to_iso
from fleet.exit_codes import UsageError
from fleet.firmware_options import Manifest, Package, PackageUri, Sha256
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

Json = dict[str, Any]

_MAX_DIGITS = 9


@dataclass(frozen=True)
class RolloutOptions:
    """The options that describe a rollout.

    The inputs of the builds in `pipelines/` are written from them (tests/pipelines/write_files.py).
    """

    file: Annotated[
        Path | None, typer.Option(help="JSON body of POST /rollouts; what else is given adds to it")
    ] = None
    version: Annotated[str | None, typer.Option(help="firmware version")] = None
    package_uri: PackageUri = None
    package: Package = None
    sha256: Sha256 = None
    manifest: Manifest = None
    device: Annotated[list[str], typer.Option(help="a device id; repeat for more")] = field(
        default_factory=list
    )
    condition: Annotated[str | None, typer.Option(help="or the WHERE part of an IoT Hub query")] = (
        None
    )
    joiners: Annotated[
        bool | None, typer.Option(help="devices that come to meet the condition later join, or not")
    ] = None
    resolve_target: Annotated[
        str | None, typer.Option(help="when the condition is evaluated, creation or start")
    ] = None
    label: Annotated[list[str], typer.Option(help="NAME=VALUE; repeat for more")] = field(
        default_factory=list
    )
    wave: Annotated[
        list[str],
        typer.Option(help="NAME=SIZE, such as canary=1% or site=50:approval; repeat for more"),
    ] = field(default_factory=list)
    success_share: SuccessShare = None
    min_completed: MinCompleted = None
    max_not_started: MaxNotStarted = None
    acceptable: Acceptable = None
    unacceptable: Unacceptable = None
    on_breach: OnBreach = None
    on_conflict: Annotated[
        str | None,
        typer.Option(
            help="devices that other rollouts have not finished with, supersede or refuse"
        ),
    ] = None
    when_already_running: Annotated[
        str | None, typer.Option(help="devices that run the version already, skip or reinstall")
    ] = None
    verify_version: Annotated[
        bool | None, typer.Option(help="whether completed devices must report the version")
    ] = None
    stratify_by: Annotated[list[str], typer.Option(help="a twin path; repeat for more")] = field(
        default_factory=list
    )
    soak: Soak = None
    max_in_flight: MaxInFlight = None
    update_timeout: UpdateTimeout = None
    attempts: Annotated[int | None, typer.Option(help="of a device, in all")] = None
    retry_on: Annotated[
        list[str],
        typer.Option(help="unreachable, timedOut, reported or rejected; repeat for more"),
    ] = field(default_factory=list)
    offline: Annotated[str | None, typer.Option(help="wait or skip")] = None
    offline_deadline: Annotated[str | None, typer.Option(help="such as 7d")] = None
    window: Window = None
    window_day: Annotated[
        list[str], typer.Option(help="of the window, such as Mon; repeat for more")
    ] = field(default_factory=list)
    timezone: Timezone = None
    start_at: Annotated[str | None, typer.Option(help="such as 2026-12-01T02:00:00Z")] = None


def build_body(options: RolloutOptions, plan_hash: str | None = None) -> Json:
    """Return the body. Raises UsageError where file and options contradict each other."""
    given = _from_options(options)
    if plan_hash is not None:
        given["planHash"] = plan_hash
    if options.file is None:
        return given
    body = read_body(options.file)
    _refuse_two_targets(body, given, options.file)
    return merge(body, given, str(options.file))


def merge(body: Json, given: Json, source: str, pointer: str = "") -> Json:
    """Return both together. Raises UsageError for a field that has two values."""
    merged = dict(body)
    for name, value in given.items():
        before, here = body.get(name), f"{pointer}/{name}"
        if before is None:
            merged[name] = value
        elif isinstance(before, dict) and isinstance(value, dict):
            merged[name] = merge(before, value, source, here)
        elif before != value:
            raise UsageError(
                f"{source} and the options contradict each other at {here}:"
                f" {json.dumps(before)} or {json.dumps(value)}? Leave one of them out."
            )
    return merged


def _refuse_two_targets(body: Json, given: Json, source: Path) -> None:
    kept = body.get("target")
    names = {*(kept if isinstance(kept, dict) else {}), *given.get("target", {})}
    if {"deviceIds", "condition"} <= names:
        raise UsageError(
            f"{source} and the options contradict each other at /target: device ids, or a"
            " condition? Leave one of them out."
        )


def _from_options(options: RolloutOptions) -> Json:
    if options.device and options.condition is not None:
        raise UsageError("Set --device or --condition, not both.")
    body = {
        "firmware": _firmware(options),
        "target": {
            "deviceIds": options.device,
            "condition": options.condition,
            "joiners": options.joiners,
        },
        "strategy": strategy_of(options),
        "startAt": options.start_at,
        "labels": _labels(options.label),
    }
    return _without_empty(body)


def _labels(texts: list[str]) -> Json:
    labels: Json = {}
    for text in texts:
        name, value = _pair("--label", text)
        labels = merge(labels, {name: value}, "--label")
    return labels


def _firmware(options: RolloutOptions) -> Json:
    firmware = {"version": options.version, "packageUri": options.package_uri}
    return firmware | describe_package(options.package, options.sha256, options.manifest)


def describe_package(package: Path | None, sha256: str | None, manifest: Path | None) -> Json:
    """Return what is known of a package: hash and size of the file, and the manifest's text."""
    known: Json = {} if sha256 is None else {"sha256": sha256}
    if manifest is not None:
        known["manifest"] = _read(manifest).decode(errors="replace").strip()
    if package is not None:
        content = _read(package)
        measured = {"sha256": hashlib.sha256(content).hexdigest(), "sizeBytes": len(content)}
        return merge(known, measured, "--sha256")
    return known


def strategy_of(options: RolloutOptions) -> Json:
    """Return the parts of the strategy that are given. Raises UsageError."""
    if options.window is None and (options.timezone is not None or options.window_day):
        name = "--timezone" if options.timezone is not None else "--window-day"
        raise UsageError(f"{name} is of a --window; set both.")
    return _without_empty(_strategy(options))


def _strategy(options: RolloutOptions) -> Json:
    gate = {"acceptable": options.acceptable, "unacceptable": options.unacceptable}
    return {
        "waves": [_wave(text) for text in options.wave],
        "successShare": options.success_share,
        "minCompleted": _if_given(_size, options.min_completed),
        "maxNotStarted": _if_given(_size, options.max_not_started),
        "failureGate": {**gate, "onBreach": options.on_breach},
        "onConflict": options.on_conflict,
        "whenAlreadyRunning": options.when_already_running,
        "verifyVersion": options.verify_version,
        "resolveTarget": options.resolve_target,
        "stratifyBy": options.stratify_by,
        "soak": _if_given(to_iso, options.soak),
        "maxInFlight": options.max_in_flight,
        "timeout": _if_given(to_iso, options.update_timeout),
        "retry": {"attempts": options.attempts, "on": options.retry_on},
        "offline": {
            "policy": options.offline,
            "deadline": _if_given(to_iso, options.offline_deadline),
        },
        "window": _window(options),
    }


def _wave(text: str) -> Json:
    name, size = _pair("--wave", text)
    plain, colon, flag = size.partition(":")
    if colon and flag != "approval":
        raise UsageError(f"--wave is NAME=SIZE or NAME=SIZE:approval, not {text!r}.")
    return {"name": name, "size": _size(plain), **({"approval": True} if colon else {})}


def _size(text: str) -> int | str:
    plain = text.strip()
    return (
        int(plain) if plain.isascii() and plain.isdecimal() and len(plain) <= _MAX_DIGITS else plain
    )


def _window(options: RolloutOptions) -> Json:
    if options.window is None:
        return {}
    start, dash, end = options.window.partition("-")
    if not dash:
        raise UsageError(f"--window is START-END, such as 01:00-05:00, not {options.window!r}.")
    return {
        "start": start.strip(),
        "end": end.strip(),
        "days": options.window_day,
        "timezone": options.timezone,
    }


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals or not value:
        raise UsageError(f"{option} is NAME=VALUE, not {text!r}.")
    return name, value


def _if_given(convert: Callable[[str], Any], text: str | None) -> Any:
    return None if text is None else convert(text)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None


def _without_empty(value: Json) -> Json:
    """Return the object without nulls and empty parts: what is not given stays the default."""
    cleaned = {
        name: _without_empty(item) if isinstance(item, dict) else item
        for name, item in value.items()
    }
    return {name: item for name, item in cleaned.items() if item not in (None, {}, [])}
