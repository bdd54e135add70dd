"""Read settings of one value each: a boolean, a URL, a rule, a duration, a choice, a schedule."""

import re
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlsplit

from functions.errors import SettingsError
from functions.outbound.port import AllowedAddresses
from functions.rollouts.model.quarantine import QuarantineRule
from functions.settings.names import OUTBOUND, QUARANTINE, RETENTION, SCHEDULE

MIN_QUARANTINE_FAILURES = 2  # one failure may be the firmware's
MAX_QUARANTINE_DAYS = 365
_QUARANTINE_RULE = re.compile(r"([1-9][0-9]?) in P([1-9][0-9]{0,2})D")
DEFAULT_RETENTION = "P400D"
_RETENTION = re.compile(
    r"P(?=.)((?P<days>\d{1,5})D)?(T(?=.)((?P<hours>\d{1,5})H)?((?P<minutes>\d{1,5})M)?"
    r"((?P<seconds>\d{1,5})S)?)?",
    re.ASCII,
)
# Five or six fields. Only their form is checked: the Functions host knows the rest. It also reads
# the schedule from another setting, whose name is between percent signs.
_SCHEDULE = re.compile(r"[0-9a-z*,/-]+(\s+[0-9a-z*,/-]+){4,5}|%[^%]+%", re.IGNORECASE | re.ASCII)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_MAX_URL_CHARACTERS = 1024
# Scheme, host (a name, or an IPv6 address in brackets), port, and path segments that no client
# would resolve: neither empty nor dots.
_BASE_URL = re.compile(
    r"https?://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?"
    r"(/(?!\.{1,2}(/|$))[a-z0-9._~!$&'()*+,;=:@%-]+)*",
    re.IGNORECASE | re.ASCII,
)


def read_boolean(environment: Mapping[str, str], name: str, *, default: str) -> bool:
    text = (environment.get(name) or default).strip().lower()
    if text not in _BOOLEANS:
        raise SettingsError(f"{name} must be true or false, not {text[:20]!r}")
    return _BOOLEANS[text]


def read_url(environment: Mapping[str, str], name: str) -> str | None:
    """Read a URL without a slash at its end. Return None if it is not set."""
    text = (environment.get(name) or "").strip()
    url = text.rstrip("/")
    if not text:
        return None
    if len(url) > _MAX_URL_CHARACTERS or not _BASE_URL.fullmatch(url) or not _has_valid_port(url):
        # What is before an @ or after a question mark may be a secret.
        shown = "" if set(text) & {"@", "?"} else f", not {text[:80]!r}"
        raise SettingsError(
            f"{name} must be an http or https URL with a host and no user, query or fragment,"
            f" such as https://rollouts.example/api{shown}"
        )
    return url


def _has_valid_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def read_quarantine(environment: Mapping[str, str]) -> QuarantineRule | None:
    """Read a rule such as "3 in P30D". Return None without the setting, or if it is "off"."""
    text = (environment.get(QUARANTINE) or "off").strip()
    if text == "off":
        return None
    found = _QUARANTINE_RULE.fullmatch(text)
    failures, days = map(int, found.groups()) if found else (0, 0)
    if failures < MIN_QUARANTINE_FAILURES or days > MAX_QUARANTINE_DAYS:
        raise SettingsError(
            f"{QUARANTINE} must be off, or a number of rollouts from 2 to 99 and 1 to 365 days,"
            f" such as 3 in P30D, not {text[:20]!r}"
        )
    return QuarantineRule(failures=failures, period=timedelta(days=days))


def read_retention(environment: Mapping[str, str]) -> timedelta | None:
    """Read how long ended rollouts are kept. Return None for "P0D": for ever."""
    text = (environment.get(RETENTION) or DEFAULT_RETENTION).strip()
    found = _RETENTION.fullmatch(text)
    if found is None:
        raise SettingsError(
            f"{RETENTION} must be an ISO 8601 duration in days, hours, minutes or seconds, such as"
            f" P400D, or P0D to keep ended rollouts for ever, not {text[:20]!r}"
        )
    parts = {unit: int(number) for unit, number in found.groupdict().items() if number}
    return timedelta(**parts) or None


def check_schedule(environment: Mapping[str, str]) -> None:
    """Raise SettingsError if it is no NCRONTAB: the timer would not run, and nothing else fail."""
    text = (environment.get(SCHEDULE) or "").strip()
    if text and not _SCHEDULE.fullmatch(text):
        raise SettingsError(
            f"{SCHEDULE} must be NCRONTAB with six fields, such as */30 * * * * * for every 30"
            f" seconds, not {text[:20]!r}"
        )


def read_outbound(environment: Mapping[str, str]) -> AllowedAddresses:
    text = (environment.get(OUTBOUND) or AllowedAddresses.PUBLIC).strip().lower()
    if text not in set(AllowedAddresses):
        known = ", ".join(AllowedAddresses)
        raise SettingsError(f"{OUTBOUND} must be one of {known}, not {text[:20]!r}")
    return AllowedAddresses(text)
