"""Where the simulator finds what the set-up installed."""

from pathlib import Path

import pytest

from simulator import paths


def test_the_installed_node_comes_before_the_one_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path, installed = tmp_path / "bin/node", tmp_path / "local/node"
    monkeypatch.setenv("PATH", str(on_path.parent))
    monkeypatch.setattr(paths, "LOCAL_NODE", installed)
    assert paths.find_node() is None
    for node in (on_path, installed):
        node.parent.mkdir()
        node.touch(mode=0o755)
        assert paths.find_node() == str(node)
