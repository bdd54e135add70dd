"""What a host is started with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """Options of one host process.

    `app_directory` holds `function_app.py` and `host.json`. Port 0 means any free port.

    Keys are checked only with `enforce_keys`: Core Tools checks none, Azure does. `keys` maps a
    key's name to its value: `_master`, any other plain name for a host key, and
    `<function>/<key name>` for a key of one function. Left empty, `_master` and `default` are
    generated and printed at start.
    """

    app_directory: Path
    address: str = "127.0.0.1"
    port: int = 7071
    enforce_keys: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)
