"""Options of a Functions host."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from simulator.listeners import ADDRESS, HOST
from simulator.paths import REPOSITORY
from simulator.shared_options import Address, port_option


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """The app that a host runs, and where it listens."""

    app_directory: Annotated[
        Path,
        typer.Option(
            help="The folder of function_app.py and host.json.",
            show_default="the repository",
            exists=True,
            file_okay=False,
        ),
    ] = REPOSITORY
    address: Address = ADDRESS
    port: Annotated[int, port_option(HOST, any_free=True)] = HOST.port
    enforce_keys: Annotated[
        bool, typer.Option("--enforce-keys", help="Check function keys, as Azure does.")
    ] = False
    """Core Tools checks none."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Name to value: `_master`, `<host key>`, `<function>/<function key>`. Generated if empty."""
