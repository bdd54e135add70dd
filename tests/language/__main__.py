"""List what the style guide replaces: `python -m tests.language [PATH ...]`."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.language.docstrings import functions
from tests.language.words import findings

FOLDERS = (
    "functions",
    "device_agent",
    "fleet",
    "signed_firmware",
    "simulator",
    "tests",
    "pipelines",
)


def python_files(names: Iterable[str]) -> Iterator[Path]:
    """Yield the Python files of these files and folders, in order."""
    for name in names:
        path = Path(name)
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def main(names: list[str]) -> None:
    """Print each finding, then the counts."""
    words: Counter[str] = Counter()
    all_functions = without_verb = 0
    for path in python_files(names or FOLDERS):
        if path.is_relative_to("tests/language"):  # it names the words
            continue
        for found in findings(path):
            words[found.word] += 1
            print(f"{path}:{found.line}: {found.word!r} -> {found.instead}")
        for function in functions(path):
            all_functions += 1
            if not function.begins_with_verb:
                without_verb += 1
                print(f"{path}:{function.line}: {function.name}: {function.first_word!r}")
    print(words.most_common(40))
    share = 100 * without_verb / max(all_functions, 1)
    print(f"{sum(words.values())} replaced words")
    print(f"{without_verb} of {all_functions} docstrings without a verb: {share:.1f}%")


if __name__ == "__main__":
    main(sys.argv[1:])
