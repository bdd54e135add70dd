"""Read host.json: the few settings that this host uses.

Names, defaults and limits: Microsoft Learn, "host.json reference for Azure Functions 2.x and
later" and "Azure Queue storage trigger and bindings", section "host.json settings".
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.host.errors import SettingsError

_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):([0-5]?\d):([0-5]?\d)(\.\d+)?")
_OVERRIDE = "AzureFunctionsJobHost__"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOptions:
    """The settings of `extensions.queues`."""

    batch_size: int = 16
    """Messages received at once; the storage service allows 32."""
    new_batch_threshold: int = 8
    """The next batch is received once no more messages than this are running."""
    visibility_timeout_seconds: float = 0
    """How long a message stays invisible after its function failed."""
    max_dequeue_count: int = 5
    """After this many failures a message moves to the poison queue."""
    max_polling_interval_seconds: float = 2
    """A minute in Azure; 2 s in the Development environment, which this always is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostJson:
    """The settings of host.json that this host uses."""

    route_prefix: str
    queues: QueueOptions
    log_level: str
    """`logging.logLevel.default`."""


def load_host_json(app_directory: Path, environment: Mapping[str, str] = os.environ) -> HostJson:
    """Read host.json; `AzureFunctionsJobHost__a__b` settings override it. Raises SettingsError."""
    path = app_directory / "host.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise SettingsError(f"no host.json in {app_directory}") from None
    except ValueError as error:
        raise SettingsError(f"host.json is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("version") != "2.0":
        raise SettingsError('host.json must be a JSON object with "version": "2.0"')
    _override(document, environment)
    return HostJson(
        route_prefix=str(_value_at(document, "extensions", "http", "routePrefix", default="api")),
        queues=_queue_options(_value_at(document, "extensions", "queues", default={})),
        log_level=str(_value_at(document, "logging", "logLevel", "default", default="Information")),
    )


def parse_time_span(text: str, *, where: str) -> float:
    """Return the seconds of a `[d.]hh:mm:ss[.fff]` string. Raises SettingsError."""
    match = _TIME_SPAN.fullmatch(text)
    if match is None or int(match[2]) > 23:  # noqa: PLR2004 - hours of a day
        raise SettingsError(f"{where} must be a duration like 00:00:30, not {text!r}")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[:4])
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds + float(match[5] or 0)


def _queue_options(given: dict[str, Any]) -> QueueOptions:
    batch_size = _read_whole_number(given, "batchSize", 16, 1, 32)
    if str(given.get("messageEncoding", "base64")).lower() != "base64":
        raise SettingsError("host.json: messageEncoding must be base64 on the local host")
    return QueueOptions(
        batch_size=batch_size,
        new_batch_threshold=_read_whole_number(
            given, "newBatchThreshold", batch_size // 2 * (os.cpu_count() or 1), 0, 100_000
        ),
        visibility_timeout_seconds=_read_seconds(given, "visibilityTimeout", "00:00:00"),
        max_dequeue_count=_read_whole_number(given, "maxDequeueCount", 5, 1, 100_000),
        max_polling_interval_seconds=max(
            0.1, _read_seconds(given, "maxPollingInterval", "00:00:02")
        ),
    )


def _read_whole_number(
    given: dict[str, Any], name: str, default: int, minimum: int, maximum: int
) -> int:
    try:
        value = int(given.get(name, default))
    except (TypeError, ValueError):
        value = minimum - 1
    if not minimum <= value <= maximum:
        raise SettingsError(f"host.json: {name} must be a whole number from {minimum} to {maximum}")
    return value


def _read_seconds(given: dict[str, Any], name: str, default: str) -> float:
    return parse_time_span(str(given.get(name, default)), where=f"host.json: {name}")


def _value_at(document: dict[str, Any], *path: str, default: Any) -> Any:
    value: Any = document
    for name in path:
        if not isinstance(value, dict):
            raise SettingsError(f"host.json: {'.'.join(path[:-1])} must be a JSON object")
        value = value.get(name)
        if value is None:
            return default
    return value


def _override(document: dict[str, Any], environment: Mapping[str, str]) -> None:
    for name, text in environment.items():
        if not name.startswith(_OVERRIDE):
            continue
        *folders, leaf = name.removeprefix(_OVERRIDE).split("__")
        target = document
        for folder in folders:
            target = target.setdefault(folder, {})
        target[leaf] = text
