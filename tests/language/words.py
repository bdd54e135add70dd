"""The words that docs/glossary.md replaces, and where one of them may stay."""

import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from simulator.paths import REPOSITORY

GLOSSARY = REPOSITORY / "docs/glossary.md"


@dataclass(frozen=True, slots=True)
class Word:
    """One replaced word: a pattern over lower-case words, and what to write instead."""

    pattern: re.Pattern[str]
    instead: str


def _word(pattern: str, instead: str) -> Word:
    return Word(re.compile(rf"\b(?:{pattern})\b"), instead)


def glossary_words() -> Iterator[Word]:
    """Yield the words of the glossary's last column; one with a remark depends on its meaning."""
    table = GLOSSARY.read_text(encoding="utf-8").split("| --- | --- | --- |")[1]
    for word, replaced in re.findall(r"^\| ([^|]+) \| [^|]+ \| ([^|]*) \|$", table, re.MULTILINE):
        for item in map(str.strip, replaced.split(",")):
            if item and "(" not in item:
                yield _word(rf"{item}(?:s|d|ed|ing)?", word)


WORDS = (
    *glossary_words(),
    # Of these, the glossary replaces one meaning, and the style guide the rest.
    _word(r"(?:a|one|each|every|next|last|first) try", "attempt"),
    _word(r"look(?:s|ing)? at", "observe, read"),
    _word(r"(?:its|their|whose|each|the|device's|devices') turns?", "start, wave opens"),
    _word(r"tak(?:e|es|en|ing) up|took up", "claim, accept"),
    _word(r"doors?|houses?", "plain term"),
    _word(r"so many", "n, count"),
    _word(r"there (?:is|are) none|is none|that there is", "none exist"),
    _word(r"by then|for good", "plain term"),
    _word(r"somebody|whoever|nobody|anybody", "name the caller or part"),
)
_ANY_WORD = re.compile("|".join(word.pattern.pattern for word in WORDS))
_TEXT_TOKENS = {tokenize.NAME, tokenize.COMMENT, tokenize.STRING, tokenize.FSTRING_MIDDLE}
# Names of other people's code: a pytest mark, an enum's attribute, a key of the device contract.
_EXACT = frozenset({"__members__", "in_place"})
_CONSTANT = re.compile(r"\b[A-Z0-9_]+_AT_(?:MOST|LEAST)\b")

# Names that people outside or stored data rely on, so they stay: file -> words.
_ROWS = "functions/rollout_store/table_storage"
ALLOWED: Mapping[str, frozenset[str]] = {
    "functions/dispatch_queue/messages.py": frozenset({"hand out", "members"}),
    f"{_ROWS}/block_rows.py": frozenset({"look at", "tries"}),
    f"{_ROWS}/keys.py": frozenset({"pace"}),
    f"{_ROWS}/rollout_json.py": frozenset({"asked", "looked"}),
    f"{_ROWS}/dispatch_columns.py": frozenset({"hand out", "hand outs"}),
    f"{_ROWS}/targets.py": frozenset({"members"}),
    f"{_ROWS}/wave_json.py": frozenset({"waived"}),
    "tests/functions/dispatch_queue/test_messages.py": frozenset({"hand out", "members"}),
    "tests/end_to_end/test_poison.py": frozenset({"hand out", "members"}),
    # An action in stored audit trails.
    "functions/rollouts/model/audit_trail.py": frozenset({"asked"}),
    "functions/rollouts/rollout/waves.py": frozenset({"asked"}),
    "tests/functions/rollouts/rollout/test_waves.py": frozenset({"asked"}),
    "tests/page/test_model.py": frozenset({"asked"}),
    "tests/page/test_plateaus.py": frozenset({"asked"}),
    # Names of schemas in the published description of the API.
    "functions/wire/command_request.py": frozenset({"steering"}),
    "functions/wire/device_update.py": frozenset({"answer"}),
    "functions/wire/schema.py": frozenset({"answer"}),
    "tests/docs/test_docs.py": frozenset({"answer"}),
    "tests/functions/triggers/test_openapi.py": frozenset({"answer", "steering"}),
    "tests/functions/triggers/test_responses.py": frozenset({"answer"}),
    # An action of the fault plans that users write.
    "simulator/hub/model/faults.py": frozenset({"answer"}),
    "tests/simulator/hub/test_local_api.py": frozenset({"answer"}),
    # The QoS that a SUBACK grants (MQTT 3.1.1).
    "simulator/hub/mqtt/packets.py": frozenset({"granted"}),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A replaced word in a file."""

    path: Path
    line: int
    word: str
    instead: str


def relative(path: Path) -> str:
    """Return a file's path in the repository; unchanged for a file outside of it."""
    absolute = path.resolve()
    return str(absolute.relative_to(REPOSITORY) if absolute.is_relative_to(REPOSITORY) else path)


def findings(path: Path) -> Iterator[Finding]:
    """Yield each replaced word in a Python file: in names, comments and texts."""
    allowed = ALLOWED.get(relative(path), frozenset())
    source = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in _TEXT_TOKENS and token.string not in _EXACT:
            for word, instead in _in_text(token.string):
                if word not in allowed:
                    yield Finding(path, token.start[0], word, instead)


def _in_text(text: str) -> Iterator[tuple[str, str]]:
    for constant in _CONSTANT.findall(text):
        yield constant, "MAX_..., MIN_..."
    plain = _split(text)
    if not _ANY_WORD.search(plain):
        return
    for word in WORDS:
        for found in word.pattern.finditer(plain):
            yield found[0], word.instead


def _split(text: str) -> str:
    """Return the words of names and sentences: `HandOut`, `hand_out` -> `hand out`."""
    without_none = re.sub(r"\bNone\b", "null", text)
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", " ", without_none)
    return re.sub(r"\s+", " ", spaced).lower()
