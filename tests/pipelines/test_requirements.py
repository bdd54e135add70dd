"""What a build installs beside `fleet` is pinned, and pinned as it is tested here."""

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from simulator.paths import REPOSITORY

CHOSEN = ("httpx", "rich", "typer", "azure-identity")
PINS = REPOSITORY / "pipelines/requirements.txt"


def needed(name: str, seen: set[str]) -> Iterator[str]:
    """Yield what a package needs, itself included, as it is installed here."""
    if canonicalize_name(name) in seen:
        return
    seen.add(canonicalize_name(name))
    try:
        texts = requires(name) or []
    except PackageNotFoundError:  # for another system
        return
    yield canonicalize_name(name)
    for requirement in map(Requirement, texts):
        # A package for older versions of Python alone is pinned too.
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield from needed(requirement.name, seen)


def test_all_that_a_build_installs_has_the_version_that_is_tested() -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", PINS.read_text(), re.MULTILINE))
    seen: set[str] = set()
    found = {name: version(name) for chosen in CHOSEN for name in needed(chosen, seen)}
    assert {canonicalize_name(name): pin for name, pin in pins.items()} == found
