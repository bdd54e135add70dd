"""Names, comments, texts and docstrings keep to docs/glossary.md and to one form."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.paths import REPOSITORY
from tests.language.__main__ import FOLDERS, python_files
from tests.language.docstrings import functions
from tests.language.words import findings, relative

MAX_SHARE_WITHOUT_VERB = 0.05


def list_files(folder: str) -> Iterator[Path]:
    """Yield the Python files of a folder, without this package, which names the words."""
    for path in python_files([str(REPOSITORY / folder)]):
        if not relative(path).startswith("tests/language/"):
            yield path


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_file_has_a_word_that_the_glossary_replaces(folder: str) -> None:
    found = [
        f"{relative(path)}:{item.line}: write {item.instead!r} instead of {item.word!r}"
        for path in list_files(folder)
        for item in findings(path)
    ]
    assert not found, "\n".join(found)


def test_docstrings_of_functions_begin_with_a_verb() -> None:
    described = [
        function
        for folder in FOLDERS
        for path in list_files(folder)
        for function in functions(path)
    ]
    others = [
        f"{relative(item.path)}:{item.line}: {item.name} begins with {item.first_word!r}"
        for item in described
        if not item.begins_with_verb
    ]
    assert len(others) <= MAX_SHARE_WITHOUT_VERB * len(described), "\n".join(others)


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("def hand_out() -> None: ...", "hand out"),
        ("class HandOut: ...", "hand out"),
        ("x = 1  # the next try", "next try"),
        ('text = "Nobody answered."', "nobody"),
        ('text = f"{name} was asked"', "asked"),
        ("WAVES_AT_MOST = 50", "WAVES_AT_MOST"),
    ],
)
def test_a_replaced_word_is_found_in_names_comments_and_texts(
    source: str, word: str, tmp_path: Path
) -> None:
    file = tmp_path / "planted.py"
    file.write_text(f"first = None\n{source}\n")
    assert (2, word) in [(item.line, item.word) for item in findings(file)]


def test_words_of_azure_and_python_are_not_found(tmp_path: Path) -> None:
    file = tmp_path / "plain.py"
    file.write_text("try:\n    response = None\nexcept KeyError:\n    members = Kind.__members__\n")
    assert [item.word for item in findings(file)] == ["members"]


def test_a_docstring_without_a_verb_is_found(tmp_path: Path) -> None:
    file = tmp_path / "planted.py"
    file.write_text(
        'def good() -> int:\n    """Return the count."""\n    return 1\n\n\n'
        'def bad() -> int:\n    """The count."""\n    return 1\n'
    )
    assert [(item.name, item.begins_with_verb) for item in functions(file)] == [
        ("good", True),
        ("bad", False),
    ]
