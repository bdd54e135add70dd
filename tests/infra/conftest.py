"""A copy of the template, for tests that break it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.infra.template import INFRA

type Break = Callable[[str, str, str], Path]


@pytest.fixture
def broken(tmp_path: Path) -> Break:
    """Return a function that replaces a text in a file of the copy, and returns the copy."""

    def replace(name: str, text: str, other: str) -> Path:
        folder = tmp_path / "infra"
        shutil.copytree(INFRA, folder)
        file = folder / name
        before = file.read_text()
        assert before.count(text) == 1, f"{name} must hold {text!r} once"
        file.write_text(before.replace(text, other))
        return folder

    return replace
