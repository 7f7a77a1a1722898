"""The project's words: no name, comment or text uses what docs/glossary.md replaces.

tests/kit/vocabulary_left.txt counts what is left in each file. It may only shrink:
`python -m tests.test_vocabulary` writes it again after some was mended.
"""

import ast
import io
import re
import tokenize
from collections import Counter
from functools import cache
from pathlib import Path

from tests.kit.project import ROOT, sources, texts, tracked, tree

# A participle says what happened to a thing, not what the thing is.
PARTICIPLES = {"told", "found", "asked", "made", "given", "chosen", "wanted", "kept", "shown"}
NOUNS = {
    *("hole", "holes", "net", "nets", "guess", "guesses", "guessed", "suite", "suites"),
    *("drafter", "drafters", "sure", "surest", "likeliest", "law_of", "specials"),
}
PROSE = re.compile(
    r"\b(holes?|nets?|guess(es|ed)?|drafters?|surest|likeliest|(?<!`)suites?(?<!test suite)|"
    r"specials|"
    r"taken at its word|taken home|half a surrogate pair|some gigabytes|parted by|at hand|"
    r"another seed|for instance|the same without this page|knows no time|looks at pads|"
    r"order of decoding|go on from a prompt|masked hole)\b",
    re.IGNORECASE,
)
FILES = {
    *("lane", "race", "press", "told", "other", "field", "facts", "proof", "reach", "words"),
    *("visible", "utils", "helpers", "misc", "common"),
}
# This list, and the table of what to write instead.
SPEAK_OF_WORDS = {"tests/test_vocabulary.py", "docs/glossary.md"}

LEFT = ROOT / "tests/kit/vocabulary_left.txt"
STILL = {name: int(count) for name, count in map(str.split, LEFT.read_text().splitlines())}


def names(file: Path) -> set[str]:
    """Every name that a file gives to something of its own."""
    own = set()
    for node in ast.walk(tree(file)):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                own.add(name)
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                own.add(name)
            case ast.Attribute(attr=name, ctx=ast.Store()):
                own.add(name)
    return own


def parts(name: str) -> set[str]:
    """The words of a name: {"masked", "positions"} of masked_positions and MaskedPositions."""
    return {word.lower() for word in re.findall(r"[A-Za-z][a-z]*|[A-Z]+", name)}


def _misnamed(name: str) -> bool:
    """A sentence, as the name of a test is, may have a participle; a name may not be one."""
    words = parts(name)
    return bool(words & NOUNS or (words & PARTICIPLES and len(words) < 4))


@cache
def prose(name: str, text: str) -> str:
    """What a person reads in a file: comments and strings of Python, all of anything else."""
    if not name.endswith(".py"):
        return text
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    kinds = (tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", -1))
    return "\n".join(token.string for token in tokens if token.type in kinds)


def findings() -> dict[str, list[str]]:
    """{file: the words in it that the glossary replaces}."""
    words: dict[str, list[str]] = {}
    for file in sources(".", "samplers", "lab", "tests", "examples", "docs"):
        bad = [name for name in sorted(names(file)) if _misnamed(name)]
        words.setdefault(file.relative_to(ROOT).as_posix(), []).extend(bad)
    for name, text in texts():
        if name.endswith(
            (".py", ".md", ".js", ".html", ".css", ".toml", ".yml", "requirements.txt")
        ):
            matches = [match.group() for match in PROSE.finditer(prose(name, text))]
            words.setdefault(name, []).extend(matches)
    return {name: bad for name, bad in words.items() if bad and name not in SPEAK_OF_WORDS}


def test_names_and_texts_use_glossary():
    words = findings()
    more = {name: bad for name, bad in words.items() if len(bad) > STILL.get(name, 0)}
    assert not more, f"docs/glossary.md says what to write instead: {more}"


def test_what_is_left_only_shrinks():
    words = findings()
    fewer = {name for name, count in STILL.items() if len(words.get(name, ())) < count}
    assert not fewer, "mended; write the list again: python -m tests.test_vocabulary"


def test_file_names_say_thing():
    stems = Counter(re.sub(r"^test_", "", file.stem) for file in tracked())
    assert not FILES & set(stems) - {"other"}  # tests/browser/test_other.py


if __name__ == "__main__":
    words = sorted(findings().items())
    LEFT.write_text("".join(f"{name} {len(bad)}\n" for name, bad in words), "utf-8")


def test_names_of_tests_are_short_and_without_articles():
    pattern = re.compile(r"^\s*(?:async )?def (test_\w+)\(", re.MULTILINE)
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for name in pattern.findall(file.read_text("utf-8")):
            assert len(name) <= 60 and not {"a", "an", "the"} & set(name.split("_")), name
