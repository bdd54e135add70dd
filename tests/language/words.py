"""The words that docs/glossary.md replaces, and where one of them may stay."""

import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Word:
    """One replaced word: a pattern over lower-case words, and what to write instead."""

    pattern: re.Pattern[str]
    instead: str


def _word(pattern: str, instead: str) -> Word:
    return Word(re.compile(rf"\b(?:{pattern})\b"), instead)


WORDS = (
    _word(r"members?(?! of (an|the) enum)", "target device, device set"),
    _word(r"tries(?! to\b)|(?:a|one|each|every|next|last|first) try", "attempt"),
    _word(r"(?<!in )(?<!take )(?<!takes )(?<!took )places?(?! holder)", "position, index"),
    _word(r"hand(?:ed|s|ing)? outs?|hand-?outs?", "lease"),
    _word(r"promises?|promised", "state what holds"),
    _word(r"tak(?:e|es|en|ing) up|took up", "claim, accept"),
    _word(r"ask(?:s|ed|ing)?", "invoke, query, request"),
    _word(r"look(?:s|ed|ing)?(?! ?up\b)(?! ?ups\b)", "observation, read"),
    _word(r"purses?", "budget"),
    _word(r"pace", "budget"),
    _word(r"grants?", "quotas"),
    _word(r"in hand", "locked"),
    _word(r"(?:its|their|whose|each|next|a|the|device's|devices'|s) turns?", "start, wave opens"),
    _word(r"steer(?:s|ed|ing)?", "command"),
    _word(r"waiv(?:e|es|ed|ing)", "acknowledge"),
    _word(r"answer(?:s|ed|ing)?", "response, respond"),
    _word(r"pretend(?:s|ed|ing)?", "simulated, virtual"),
    _word(r"light(?:weight)? (?:device|fleet)s?", "simulated"),
    _word(r"timed(?! out)", "simulated"),
    _word(r"conducts?", "fault"),
    _word(r"behaviours?", "fault; what it does"),
    _word(r"houses?|doors?|stor(?:y|ies) of", "plain term"),
    _word(r"so many", "n, count"),
    _word(r"there (?:is|are) none|is none|that there is", "none exist"),
    _word(r"by then|for good", "plain term"),
    _word(r"somebody|whoever|nobody|anybody", "name the caller or part"),
)
_TEXT_TOKENS = {tokenize.NAME, tokenize.COMMENT, tokenize.STRING, tokenize.FSTRING_MIDDLE}
_CONSTANT = re.compile(r"\b[A-Z0-9_]+_AT_(?:MOST|LEAST)\b")

# Names that people outside or stored data rely on, so they stay: file -> words.
ALLOWED: Mapping[str, frozenset[str]] = {}


@dataclass(frozen=True, slots=True)
class Finding:
    """A replaced word in a file."""

    path: Path
    line: int
    word: str
    instead: str


def findings(path: Path) -> Iterator[Finding]:
    """Yield each replaced word in a Python file: in names, comments and texts."""
    allowed = ALLOWED.get(path.as_posix(), frozenset())
    source = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in {
            tokenize.NAME,
            tokenize.COMMENT,
            tokenize.STRING,
            tokenize.FSTRING_MIDDLE,
        }:
            for word, instead in _in_text(token.string):
                if word not in allowed:
                    yield Finding(path, token.start[0], word, instead)


def _in_text(text: str) -> Iterator[tuple[str, str]]:
    for constant in _CONSTANT.findall(text):
        yield constant, "MAX_..., MIN_..."
    plain = _split(text)
    for word in WORDS:
        for found in word.pattern.finditer(plain):
            yield found[0], word.instead


def _split(text: str) -> str:
    """Return the words of names and sentences: `HandOut`, `hand_out` -> `hand out`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", " ", text)
    return re.sub(r"\s+", " ", spaced).lower()
