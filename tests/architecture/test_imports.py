"""The layers of the code: each contract stands in pyproject.toml, `[tool.importlinter]`."""

import sys
from pathlib import Path

import pytest
from importlinter import cli

from simulator.paths import REPOSITORY


@pytest.fixture(autouse=True)
def _keep_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep import-linter from disabling the loggers that other tests capture."""
    monkeypatch.setattr("importlinter.cli.logging_config.dictConfig", lambda _: None)


def test_every_import_keeps_the_contracts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr(sys, "path", [*sys.path, str(REPOSITORY)])
    failed = cli.lint_imports(config_filename="pyproject.toml", no_cache=True)
    assert not failed, capsys.readouterr().out


def test_a_forbidden_import_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("lower", "upper"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "lower/wrong.py").write_text("import upper\n")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.importlinter]\nroot_packages = ["lower", "upper"]\n'
        '[[tool.importlinter.contracts]]\nname = "up"\ntype = "forbidden"\n'
        'source_modules = ["lower"]\nforbidden_modules = ["upper"]\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    failed = cli.lint_imports(config_filename="pyproject.toml", no_cache=True)
    assert failed
    assert "lower.wrong -> upper" in capsys.readouterr().out
