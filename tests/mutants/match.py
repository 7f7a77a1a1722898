"""Find a snippet inside a function by its tokens, and put another in its place.

Line breaks, indentation and a comma before a closing bracket do not count, so that a formatter or a
move of the function leaves a mutant whole.
"""

import ast
import re

TOKEN = re.compile(r"\w+|[^\w\s]")
CLOSING = ")]}"


def apply(source: str, function: str, old: str, new: str) -> str:
    """Replace the one place in a function ("": in the whole file) where `old` stands.

    Lines of `new` after the first are indented as the line on which `old` begins. ValueError where
    the function is missing or `old` does not stand there exactly once.
    """
    start, end = span(source, function) if function else (0, len(source))
    places = find(source[start:end], old)
    if len(places) != 1:
        raise ValueError(f"stands {len(places)} times in {function or 'the file'}")
    first, last = (start + place for place in places[0])
    line = source[source.rfind("\n", 0, first) + 1 : first]
    indent = re.match(r"[ \t]*", line)[0]
    return source[:first] + new.replace("\n", "\n" + indent) + source[last:]


def find(text: str, snippet: str) -> list[tuple[int, int]]:
    """Where a text holds the tokens of a snippet: start of the first, end of the last."""
    there, sought = tokens(text), [token for token, _, _ in tokens(snippet)]
    words = [token for token, _, _ in there]
    if not sought:
        raise ValueError("an empty snippet stands everywhere")
    starts = range(len(words) - len(sought) + 1)
    hits = [i for i in starts if words[i : i + len(sought)] == sought]
    return [(there[i][1], there[i + len(sought) - 1][2]) for i in hits]


def tokens(text: str) -> list[tuple[str, int, int]]:
    """Words and signs of a text with start and end, less commas before a closing bracket."""
    every = [(match[0], match.start(), match.end()) for match in TOKEN.finditer(text)]
    following = [token for token, _, _ in every[1:]] + ["end"]
    return [
        entry
        for entry, after in zip(every, following, strict=False)
        if not (entry[0] == "," and after in CLOSING)
    ]


def span(source: str, function: str) -> tuple[int, int]:
    """Start and end of a function or class, decorators included, by its qualified name."""
    nodes: list[ast.stmt] = ast.parse(source).body
    node: ast.stmt | None = None
    for name in function.split("."):
        node = next((n for n in _definitions(nodes) if n.name == name), None)
        if node is None:
            raise ValueError(f"there is no {function}")
        nodes = node.body
    offsets = [0]
    for line in source.splitlines(keepends=True):
        offsets.append(offsets[-1] + len(line))
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return offsets[first - 1], offsets[node.end_lineno]


def _definitions(nodes: list[ast.stmt]) -> list:
    """Functions and classes among statements, also those under an `if`, `with` or `try`."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    here: list = []
    for node in nodes:
        if isinstance(node, kinds):
            here.append(node)
        else:
            here += _definitions([n for n in ast.iter_child_nodes(node) if isinstance(n, ast.stmt)])
    return here
