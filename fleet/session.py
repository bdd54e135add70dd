"""What a command works with: the service, and where its output goes."""

import json
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from fleet.profiles import Profile

if TYPE_CHECKING:
    from rich.console import Console

    from fleet.service import Service

PATIENCE_SECONDS = 20
FOLLOWING_PATIENCE_SECONDS = 600


class Options(Protocol):
    """The common options that a session needs."""

    @property
    def api(self) -> str | None: ...
    @property
    def key(self) -> str | None: ...
    @property
    def scope(self) -> str | None: ...
    @property
    def profile(self) -> str | None: ...
    @property
    def as_json(self) -> bool: ...
    @property
    def as_jsonl(self) -> bool: ...


class Session:
    """One run of a command."""

    def __init__(self, options: Options, patience: int | None) -> None:
        self.options = options
        self.patience = patience  # seconds; None: the command's default

    @property
    def given(self) -> Profile:
        return Profile(self.options.api, self.options.key, self.options.scope)

    @property
    def for_programs(self) -> bool:
        """Return whether the output is JSON."""
        return self.options.as_json or self.options.as_jsonl

    @cached_property
    def service(self) -> "Service":
        return self.connect(PATIENCE_SECONDS)

    def connect(self, patience: int) -> "Service":
        """Return the service, with the caller's patience or this one."""
        from fleet.connection import connect
        from fleet.service import Service

        connection = connect(self.given, self.options.profile)
        wanted = patience if self.patience is None else self.patience
        return Service(connection, wanted, is_plain=not self.for_programs)

    @cached_property
    def console(self) -> "Console":
        from fleet.terminal import make_console

        return make_console()

    def print_json(self, found: Any) -> None:
        """Print one value: indented with --json, on one line with --jsonl."""
        print(json.dumps(found, indent=None if self.options.as_jsonl else 2), flush=True)

    def print_items(self, items: Iterable[Any]) -> None:
        """Print a list: one object with --json, an item a line with --jsonl."""
        if self.options.as_json:
            self.print_json({"value": list(items)})
            return
        for item in items:
            self.print_json(item)
