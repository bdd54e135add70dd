"""The command of the firmware catalogue."""

from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from fleet.commands.steps import By
from fleet.exit_codes import ExitCode, UsageError
from fleet.firmware_options import Manifest, Package, PackageUri, Sha256
from fleet.session import Session


@dataclass(frozen=True)
class PackageOptions:
    """What `fleet firmware set` registers."""

    package_uri: PackageUri = None
    package: Package = None
    sha256: Sha256 = None
    manifest: Manifest = None
    reported_as: Annotated[
        list[str], typer.Option(help="another name that devices report; repeat for more")
    ] = field(default_factory=list)
    notes: Annotated[str | None, typer.Option(help="for everyone to read")] = None


def firmware(
    session: Session,
    package: PackageOptions,
    action: Annotated[str, typer.Argument(metavar="list|show|set")] = "list",
    version: Annotated[str | None, typer.Argument(metavar="VERSION")] = None,
    by: By = None,
) -> ExitCode:
    """List, show or register firmware by version. A rollout may then name the version alone."""
    from fleet.service import quoted

    _check_usage(action, version, package)
    if action == "list":
        _list(session)
        return ExitCode.DONE
    path = f"/firmware/{quoted(version or '')}"
    if action == "show":
        found = session.service.get(path)
    else:
        found = session.service.send("PUT", path, _body(package, by))
    if session.for_programs:
        session.print_json(found)
    else:
        print("\n".join(_describe(found)))
    return ExitCode.DONE


def _check_usage(action: str, version: str | None, package: PackageOptions) -> None:
    if action not in {"list", "show", "set"}:
        raise UsageError(f"fleet firmware list, show or set, not {action!r}.")
    if (version is None) != (action == "list"):
        raise UsageError("fleet firmware list; fleet firmware show VERSION; or set VERSION.")
    if action == "set" and package.package_uri is None:
        raise UsageError("fleet firmware set needs --package-uri: where devices download it.")
    if action != "set" and package != PackageOptions():
        raise UsageError(f"fleet firmware {action} takes no options of a package.")


def _body(package: PackageOptions, by: str | None) -> dict[str, Any]:
    from fleet.rollout_options import describe_package

    given = {
        "packageUri": package.package_uri,
        "reportedAs": package.reported_as or None,
        "notes": package.notes,
        "by": by,
        **describe_package(package.package, package.sha256, package.manifest),
    }
    return {name: value for name, value in given.items() if value is not None}


def _list(session: Session) -> None:
    found = session.service.pages("/firmware", {"limit": 100})
    if session.for_programs:
        session.print_items(found)
        return
    for item in found:
        print(f"{item['version']}  {_hash(item)[:19]}  {_state(item)}  {item['notes']}".rstrip())


def _describe(item: dict[str, Any]) -> list[str]:
    from fleet.texts import time_of

    by = (item["changedBy"] or {}).get("name", "an earlier release")
    size = "" if item["sizeBytes"] is None else f", {item['sizeBytes']} bytes"
    names = f"reported as {', '.join(item['reportedAs'])}" if item["reportedAs"] else ""
    manifest = "no manifest" if item["manifest"] is None else "signed manifest"
    return [
        f"{item['version']}: {_state(item)}",
        f"  {item['packageUri']}",
        f"  {_hash(item)}{size}, {manifest}",
        f"  revision {item['revision']}, changed {time_of(item['changedAt'])} by {by}",
        *(f"  {line}" for line in (names, item["notes"]) if line),
    ]


def _hash(item: dict[str, Any]) -> str:
    return f"sha256 {item['sha256']}" if item["sha256"] else "no SHA-256"


def _state(item: dict[str, Any]) -> str:
    registered = "registered" if item["registered"] else "not registered"
    return f"{registered}, {'used by a rollout' if item['used'] else 'not used yet'}"
