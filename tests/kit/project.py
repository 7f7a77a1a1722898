"""The project's own files, read as source: what is tracked, what imports what, what calls what."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IDLE = {"__pycache__", "venv", "node_modules"}


@cache
def tracked() -> tuple[Path, ...]:
    """The project's files: what git tracks, or in an unpacked archive all that is not hidden."""
    listing = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    if listing.returncode == 0 and listing.stdout:
        files = [ROOT / name for name in listing.stdout.split("\0") if name]
        return tuple(file for file in files if file.is_file())
    inside = ((file, file.relative_to(ROOT).parts) for file in ROOT.rglob("*") if file.is_file())
    return tuple(file for file, parts in inside if not any(map(_idle, parts)))


def _idle(part: str) -> bool:
    hidden = part.startswith(".") and part not in (".ci", ".github", ".gitignore")
    return part in IDLE or hidden


def texts() -> Iterator[tuple[str, str]]:
    """Name and content of every tracked text file."""
    for file in tracked():
        content = file.read_bytes()
        if b"\0" not in content[:8192]:
            yield file.relative_to(ROOT).as_posix(), content.decode("utf-8", "replace")


def sources(*folders: str) -> list[Path]:
    """The Python files of these folders, tracked or not yet; "." stands for app.py."""
    rooms = [ROOT / folder for folder in folders if folder != "."]
    files = [file for place in rooms for file in sorted(place.rglob("*.py"))]
    return [ROOT / "app.py", *files] if "." in folders else files


def module(file: Path) -> str:
    """The dotted name of a file: lab.ui.panel."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(file: Path) -> ast.Module:
    """Parse a file once."""
    return ast.parse(file.read_text("utf-8"), str(file))


@cache
def imports(file: Path) -> frozenset[str]:
    """Every dotted name that a file imports, relative ones resolved, at any depth of the code."""
    here = module(file).split(".")
    package = here if file.name == "__init__.py" else here[:-1]
    names = set()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            names |= {source, *(f"{source}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def within(name: str, *packages: str) -> bool:
    """Whether a dotted name is one of these packages or lies inside one."""
    return any(name == package or name.startswith(package + ".") for package in packages)


def importers(package: str, *folders: str) -> set[str]:
    """The modules (of app, lab and samplers where no folder is named) that import a package."""
    files = sources(*(folders or (".", "samplers", "lab")))
    return {module(file) for file in files if any(within(n, package) for n in imports(file))}


def calls(file: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file with the dotted name of what is called ("" where it has none)."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Call):
            yield dotted(node.func), node


def dotted(node: ast.expr) -> str:
    """The source of a dotted expression: torch.rand; .random_ on something that has no name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else f".{node.attr}"
    return ""


def requirements(name: str) -> dict[str, str]:
    """{package: what its version must be} of a requirements file."""
    lines = (ROOT / name).read_text("utf-8").splitlines()
    entries = [line.split("#")[0].strip() for line in lines]
    pattern = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[\w,-]+\])?\s*(.*)")
    return {
        match[1].lower(): match[2]
        for match in map(pattern.fullmatch, entries)
        if match and not match[0].startswith("-")
    }
