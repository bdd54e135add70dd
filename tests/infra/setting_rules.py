"""Compare the settings that the code reads with the template, README and the sample.

`functions/settings/names.py` is the source. The tables below say which settings one of the others
leaves out on purpose.
"""

import json
import re
from pathlib import Path

from functions.settings import names
from tests.infra.template import INFRA, app_settings

_REPOSITORY = INFRA.parent
_SETTING = re.compile(r"AzureWebJobsStorage|[A-Z][A-Z0-9]+(_[A-Z0-9]+)+")

# A key opens the service to everyone who has it. On Azure, the identity signs in instead.
KEYS = {names.STORAGE, names.HUB, names.PACKAGE_STORAGE}
IDENTITY = {
    names.HUB_HOST,
    names.CLIENT_ID,
    f"{names.PACKAGE_STORAGE}__accountName",
    *(f"{names.STORAGE}__{name}" for name in ("accountName", "clientId", "credential")),
}
# Neither the template nor the sample needs these: another account, another identity.
FURTHER = {names.TABLES, names.HUB_CLIENT_ID}
# The local cloud alone sets it, so README does not list it.
LOCAL_CLOUD = {names.SCALE}
# Where telemetry goes: the template has Application Insights, the sample nothing.
TELEMETRY = {names.INSIGHTS, names.OTLP_ENDPOINT}
# Read by the Functions host, or by the worker before it imports the app.
HOST_IN_SAMPLE = {"FUNCTIONS_WORKER_RUNTIME"}
HOST_IN_TEMPLATE = {
    "PYTHON_ENABLE_OPENTELEMETRY",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
}


def read_by_code() -> set[str]:
    """Return the settings that functions/settings/names.py has, without those of an identity."""
    values = {value for value in vars(names).values() if isinstance(value, str)}
    return {value for value in values if _SETTING.fullmatch(value)}


def in_readme() -> set[str]:
    section = (_REPOSITORY / "README.md").read_text().split("\n## Settings")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def in_sample() -> dict[str, str]:
    stored = json.loads((_REPOSITORY / "local.settings.json.sample").read_text())
    values: dict[str, str] = stored["Values"]
    return values


def find_differences(folder: Path) -> list[str]:
    """Return the settings that README, sample or template lacks, or names in vain."""
    code = read_by_code()
    sources = {
        "README.md": (in_readme(), (code | IDENTITY) - LOCAL_CLOUD),
        "local.settings.json.sample": (
            set(in_sample()),
            (code | HOST_IN_SAMPLE) - IDENTITY - FURTHER - LOCAL_CLOUD - TELEMETRY,
        ),
        "the template": (
            set(app_settings(folder)),
            (code | IDENTITY | HOST_IN_TEMPLATE)
            - KEYS
            - FURTHER
            - LOCAL_CLOUD
            - {names.OTLP_ENDPOINT},
        ),
    }
    missing = [
        f"{source} lacks {name}"
        for source, (named, expected) in sources.items()
        for name in sorted(expected - named)
    ]
    unread = [
        f"{source} names {name}, which nothing reads"
        for source, (named, expected) in sources.items()
        for name in sorted(named - expected)
    ]
    return missing + unread
