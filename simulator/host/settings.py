"""Read app settings: `local.settings.json` and connection settings."""

import json
import logging
import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from simulator.host.errors import SettingsError

logger = logging.getLogger(__name__)

DEFAULT_CONNECTION = "AzureWebJobsStorage"


def load_local_settings(
    app_directory: Path, environment: MutableMapping[str, str] = os.environ
) -> None:
    """Put `Values` of local.settings.json into the environment, as Core Tools does.

    An existing variable wins; null is skipped; the file may be missing
    (Microsoft Learn, "Code and test Azure Functions locally", "Local settings file").
    AZURE_FUNCTIONS_ENVIRONMENT is set to Development. Raises SettingsError.
    """
    for name, value in _values(app_directory / "local.settings.json").items():
        if value is None:
            logger.warning("local.settings.json: %s is null and was skipped", name)
            continue
        if isinstance(value, (dict, list)):
            raise SettingsError(f"local.settings.json: the value of {name} may not be nested")
        environment.setdefault(name, value if isinstance(value, str) else json.dumps(value))
    environment["AZURE_FUNCTIONS_ENVIRONMENT"] = "Development"


def connection_setting(connection: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Return `{"": connection string}` for a trigger's `connection`, or its parts by suffix.

    An identity-based connection has parts, such as `queueServiceUri`. The name may lack the
    leading `AzureWebJobs` of its setting, and an empty name means AzureWebJobsStorage (Microsoft
    Learn, "Azure Queue storage trigger", "Connections"). A connection string wins over parts.
    Raises SettingsError.
    """
    name = connection or DEFAULT_CONNECTION
    for candidate in (f"AzureWebJobs{name}", name):
        if settings.get(candidate):
            return {"": settings[candidate]}
        prefix = f"{candidate}__"
        parts = {k[len(prefix) :]: v for k, v in settings.items() if k.startswith(prefix)}
        if parts:
            return parts
    raise SettingsError(f"the connection setting {name} is not defined")


def is_true(text: str | None) -> bool:
    """Return whether a switch setting is on: `true` or `1`, in any case."""
    return (text or "").strip().lower() in {"true", "1"}


def _values(path: Path) -> dict[str, object]:
    if not path.exists():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise SettingsError(f"local.settings.json is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise SettingsError("local.settings.json must be a JSON object")
    # Core Tools reads a missing IsEncrypted as true, and then cannot read plain text.
    if document.get("IsEncrypted", True) is not False:
        raise SettingsError('local.settings.json: "IsEncrypted" must be false')
    values = document.get("Values", {})
    if not isinstance(values, dict):
        raise SettingsError('local.settings.json: "Values" must be a JSON object')
    return values
