"""Where the repository is, and what it keeps on this machine."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
LOCAL_DIRECTORY = REPOSITORY / ".local"
HUB_CA = LOCAL_DIRECTORY / "ca.pem"
"""The local hub's authority; the hub writes it as it starts."""
