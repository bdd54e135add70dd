"""An automatic configuration: its record, its checks and its JSON.

Source: Microsoft Learn, "Automatic device and module management using the Azure CLI", sections
"Define the target content" and "Create a configuration"; error codes of "Understand Azure IoT Hub
error codes".
"""

import re
from dataclasses import dataclass, field

from simulator.hub.model.clock import timestamp
from simulator.hub.model.device import identity_etag
from simulator.hub.model.errors import ErrorCode, HubError, QueryError, invalid
from simulator.hub.model.json_types import Document, Json
from simulator.hub.model.query.selection import compile_query
from simulator.hub.model.twin_document import MAX_DEPTH, check_patch

MAX_METRICS = 5
# Whether the service refuses all characters that the page forbids is unverified.
_ID = re.compile(r"[a-z0-9\-:+%_#*?!(),=@;']{1,128}")
_PREFIX = "properties.desired"
_OF_MODULES = re.compile(
    r"\s*from\s+devices\.modules(?:\s+where\s+(.*))?\s*", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationSettings:
    """What a caller may write."""

    configuration_id: str
    content: Document
    """Has `deviceContent` or `moduleContent`, or is empty."""
    schema_version: str = "1.0"
    labels: Document = field(default_factory=dict)
    target_condition: str = ""
    priority: int = 0
    metric_queries: Document = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """A stored configuration. Times are Unix seconds."""

    serial: int
    """Grows with every creation: at equal priority the later one is applied."""
    settings: ConfigurationSettings
    created: float
    updated: float
    etag: int = 1

    @property
    def is_for_modules(self) -> bool:
        return "moduleContent" in self.settings.content

    @property
    def paths(self) -> Document:
        """Return the desired properties it writes: values by path, as in its content."""
        content = self.settings.content
        paths = content.get("moduleContent") or content.get("deviceContent")
        return paths if isinstance(paths, dict) else {}

    @property
    def target_query(self) -> str | None:
        """Return the query that selects its twins. None, for an empty condition, selects none."""
        return target_query(self.settings.target_condition)


def check_settings(settings: ConfigurationSettings) -> None:
    """Raise HubError for settings that the hub does not store."""
    if not _ID.fullmatch(settings.configuration_id):
        raise invalid(f"invalid configuration id: {settings.configuration_id!r}")
    if settings.priority < 0:
        raise invalid("priority must not be negative")
    if len(settings.metric_queries) > MAX_METRICS:
        raise invalid(f"a configuration has at most {MAX_METRICS} metrics")
    _check_content(settings.content)
    for_modules = "moduleContent" in settings.content
    condition = settings.target_condition
    if for_modules and condition.strip() and not _OF_MODULES.fullmatch(condition):
        raise _bad_target("a module configuration's begins with 'from devices.modules where'")
    error = condition_error(condition)
    if error is not None:
        raise _bad_target(error)
    for name, query in settings.metric_queries.items():
        error = query_error(query)
        if error is not None:
            code = ErrorCode.INVALID_CONFIGURATION_CUSTOM_METRICS_QUERY
            raise HubError(code, f"metric {name}: {error}")


def condition_error(condition: str) -> str | None:
    """Return what is wrong with a target condition, or None."""
    query = target_query(condition)
    return None if query is None else query_error(query)


def query_error(query: Json) -> str | None:
    """Return what is wrong with a query, or None."""
    if not isinstance(query, str):
        return "a query must be a string"
    try:
        compile_query(query)
    except QueryError as error:
        return error.message
    return None


def target_query(condition: str) -> str | None:
    """Return a target condition as a query over twins. None selects no twin."""
    if not condition.strip():
        return None
    of_modules = _OF_MODULES.fullmatch(condition)
    collection = "devices.modules" if of_modules else "devices"
    where = (of_modules[1] or "*") if of_modules else condition.strip()
    everything = f"SELECT * FROM {collection}"  # noqa: S608  the hub's own query language
    return everything if where == "*" else f"{everything} WHERE {where}"


def as_patch(paths: Document) -> Document:
    """Return values by path (`properties.desired.a.b`) as one merge patch.

    Raises INVALID_CONFIGURATION_CONTENT for a path outside the desired properties.
    """
    patch: Document = {}
    for path, value in paths.items():
        prefix, names = path[: len(_PREFIX)], path[len(_PREFIX) :].split(".")[1:]
        if prefix != _PREFIX or path[len(_PREFIX) :][:1] not in ("", ".") or "" in names:
            raise _bad_content(f"{path} is not below {_PREFIX}")
        if len(names) > MAX_DEPTH:
            raise _bad_content(f"{path[:100]}... is deeper than {MAX_DEPTH} levels")
        for name in reversed(names):
            value = {name: value}  # noqa: PLW2901  nested from the inside out
        if not isinstance(value, dict):
            raise _bad_content(f"{path} must be an object")
        patch = combine_patches(patch, value)
    return patch


def combine_patches(first: Document, second: Document) -> Document:
    """Return one patch with the effect of both, `second` after `first`. Nulls are kept."""
    result = dict(first)
    for key, value in second.items():
        before = result.get(key)
        both = isinstance(before, dict) and isinstance(value, dict)
        result[key] = combine_patches(before, value) if both else value  # type: ignore[arg-type]
    return result


def configuration_document(
    configuration: Configuration, results: Document, system_results: Document
) -> Document:
    """Return the JSON of the service API; the names of the system metrics are unverified."""
    settings = configuration.settings
    target = configuration.target_query
    collection = "devices.modules" if configuration.is_for_modules else "devices"
    applied = f"configurations.[[{settings.configuration_id}]].status = 'Applied'"
    system_queries: Document = {
        "targetedCount": target or "",
        "appliedCount": f"SELECT * FROM {collection} WHERE {applied}",  # noqa: S608  text to show
    }
    return {
        "id": settings.configuration_id,
        "schemaVersion": settings.schema_version,
        "labels": settings.labels,
        "content": settings.content,
        "contentType": "assignment",
        "targetCondition": settings.target_condition,
        "createdTimeUtc": timestamp(configuration.created),
        "lastUpdatedTimeUtc": timestamp(configuration.updated),
        "priority": settings.priority,
        "systemMetrics": {"queries": system_queries, "results": system_results},
        "metrics": {"queries": settings.metric_queries, "results": results},
        "etag": identity_etag(configuration.etag),
    }


def _check_content(content: Document) -> None:
    if content.get("modulesContent"):
        raise HubError(ErrorCode.NOT_EMULATED, "IoT Edge deployments are not emulated")
    for name in ("deviceContent", "moduleContent"):
        paths = content.get(name)
        if paths is not None and not isinstance(paths, dict):
            raise _bad_content(f"{name} must be an object")
        check_patch(as_patch(paths or {}), "properties.desired")
    if content.get("deviceContent") and content.get("moduleContent"):
        raise _bad_content("the content is for devices or for modules")


def _bad_target(message: str) -> HubError:
    return HubError(ErrorCode.INVALID_CONFIGURATION_TARGET_CONDITION, message)


def _bad_content(message: str) -> HubError:
    return HubError(ErrorCode.INVALID_CONFIGURATION_CONTENT, message)
