"""Read the Bicep files of a folder: resources, modules, parameters and outputs, parsed by pycep.

pycep does not tell a text from an identifier; `names` lists the identifiers of a file.
"""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pycep import BicepParser

INFRA = Path(__file__).resolve().parents[2] / "infra"
# What Bicep itself reads of a resource, beside what it sends to Azure.
_BICEP_ONLY = {"parent", "scope", "dependsOn"}


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource that a file declares."""

    symbol: str
    type: str  # such as Microsoft.Web/sites
    api_version: str
    is_existing: bool
    body: Mapping[str, Any]  # what Azure receives
    scope: Any  # an identifier, or None


@dataclass(frozen=True)
class BicepFile:
    """A Bicep file."""

    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text()

    @cached_property
    def parsed(self) -> Mapping[str, Any]:
        """The syntax tree. Raises an error of lark if the file is not valid."""
        return _parse(self.text)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return _section(self.parsed, "parameters")

    @property
    def outputs(self) -> Mapping[str, Any]:
        return _section(self.parsed, "outputs")

    @property
    def modules(self) -> Mapping[str, Any]:
        return _section(self.parsed, "modules")

    @cached_property
    def names(self) -> frozenset[str]:
        """The identifiers that the file declares, loop variables too."""
        kinds = ("parameters", "variables", "resources", "modules")
        declared = {name for kind in kinds for name in self.parsed.get(kind, {})}
        loops = re.findall(r"\[for (?:\((\w+), (\w+)\)|(\w+)) in", self.text)
        return frozenset(declared | {name for names in loops for name in names if name})

    @cached_property
    def resources(self) -> tuple[Resource, ...]:
        return tuple(_read_resource(*item) for item in self.parsed.get("resources", {}).items())


def read_files(folder: Path) -> list[BicepFile]:
    """Return all Bicep files of a folder and its subfolders."""
    return [BicepFile(path) for path in sorted(folder.rglob("*.bicep"))]


def all_resources(folder: Path) -> Iterator[tuple[BicepFile, Resource]]:
    """Yield every resource that is deployed, with its file."""
    for file in read_files(folder):
        for resource in file.resources:
            if not resource.is_existing:
                yield file, resource


def app_settings(folder: Path) -> Mapping[str, Any]:
    """Return the app settings of the Function App, by name."""
    (app,) = (item for _, item in all_resources(folder) if item.type == "Microsoft.Web/sites")
    settings = app.body["properties"]["siteConfig"]["appSettings"]
    return {item["name"]: item["value"] for item in settings}


def given_parameters(folder: Path) -> Mapping[str, str]:
    """Return the parameters that azd passes, each with its expression."""
    stored = json.loads((folder / "main.parameters.json").read_text())
    return {name: item["value"] for name, item in stored["parameters"].items()}


def _section(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = tree.get(name, {})
    return found


@functools.cache
def _parser() -> BicepParser:
    return BicepParser()


@functools.cache
def _parse(text: str) -> Mapping[str, Any]:
    tree: Mapping[str, Any] = _parser().parse(text=text)
    return tree


def _read_resource(symbol: str, item: Mapping[str, Any]) -> Resource:
    config = item["config"]
    while "config" in config:  # inside a condition or a loop
        config = config["config"]
    return Resource(
        symbol=symbol,
        type=item["type"],
        api_version=item["api_version"],
        is_existing=item["existing"],
        body={name: value for name, value in config.items() if name not in _BICEP_ONLY},
        scope=config.get("scope"),
    )
