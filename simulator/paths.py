"""Paths of the repository, and of what it keeps on this machine."""

import shutil
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
LOCAL_DIRECTORY = REPOSITORY / ".local"
HUB_CA = LOCAL_DIRECTORY / "ca.pem"
"""The certificate of the local hub's authority; the hub writes it when it starts."""
LOCAL_NODE = LOCAL_DIRECTORY / "node/node_modules/.bin/node"
"""The Node that `make setup` installs if the one on PATH is too old for Azurite."""


def find_node() -> str | None:
    """Return the path of `LOCAL_NODE`, else of the Node on PATH, or None if neither exists."""
    return str(LOCAL_NODE) if LOCAL_NODE.exists() else shutil.which("node")
