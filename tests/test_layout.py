"""The shape of the project, read from its source: who imports whom, what is where, how long it is.

`STILL` lists what breaks a rule today. It may only shrink: an entry that is no longer needed fails.
"""

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import lab
import samplers
from tests.kit.project import (
    ROOT,
    importers,
    imports,
    module,
    sources,
    texts,
    tracked,
    tree,
    within,
)

LONGEST_FILE, LONGEST_FUNCTION = 330, 50
# What a room may import besides itself and samplers; `lab` is the package of the public names.
TASKS, RECORD = ("lab.tasks",), ("lab.record",)
MODELS = ("lab.models", *TASKS, *RECORD)
RUN = ("lab.run", *MODELS)
BENCH = ("lab.bench", *RUN)
STUDY = ("lab.study", *RUN)
TRAIN = ("lab.train", *STUDY)
BELOW = {
    "samplers": (),
    "lab.tasks": TASKS,
    "lab.record": RECORD,
    "lab.models": MODELS,
    "lab.run": RUN,
    "lab.bench": BENCH,
    "lab.study": STUDY,
    "lab.train": TRAIN,
    "lab.ui": ("lab",),
    "lab.cli": ("lab",),
    "app": ("lab.ui",),
}
HOMES = {
    "transformers": ("lab.models", "lab.train", "lab.bench"),
    "tokenizers": ("lab.models", "lab.train"),
    "safetensors": ("lab.models", "lab.train"),
    "accelerate": ("lab.models", "lab.train", "lab.study"),
    "huggingface_hub": ("lab.models", "lab.train"),
    "gradio": ("lab.ui",),
    "spaces": ("lab.ui",),
    "plotly": ("lab.record.figures", "lab.study.quality_figure", "lab.ui"),
    "pyarrow": ("lab.study",),
    "scipy": ("lab.study",),
    "diffusers": ("lab.bench",),
}

STILL: dict[str, set[str]] = {}


def check(rule: str, offenders: set[str]) -> None:
    """Fail on what breaks a rule, less what STILL lists, and on entries that nothing needs."""
    still = STILL.get(rule, set())
    new, done = sorted(offenders - still), sorted(still - offenders)
    assert not new, f"{rule}: {new}"
    assert not done, f"{rule}: holds by now, take out of STILL: {done}"


def room(name: str) -> str:
    """The room that a module stands in; "lab" for the public names and `python -m lab`."""
    return next((known for known in BELOW if within(name, known)), "lab")


def inside(names: frozenset[str], *packages: str) -> set[str]:
    """The imported names that lie in one of these packages."""
    return {name for name in names if within(name, *packages)}


def test_imports_point_one_way():
    """From app to the page to studies and training, runs, models, tasks and records, samplers."""
    offenders = set()
    for file in sources(".", "samplers", "lab"):
        if (here := room(module(file))) == "lab":
            continue
        ours = inside(imports(file), "app", "lab", "samplers", "tests", "examples")
        wrong = {n for n in ours if not within(n, *BELOW[here], "samplers")}
        if BELOW[here] == ("lab",):  # the page and the shell are above all else, below app
            wrong = inside(imports(file), "app", "tests", "examples")
        offenders |= {f"{module(file)} -> {name}" for name in wrong}
    check("imports point one way", offenders)


def test_samplers_import_torch_and_standard_library():
    tops = {name.split(".")[0] for file in sources("samplers") for name in imports(file)}
    assert tops - set(sys.stdlib_module_names) == {"torch", "samplers"}


def test_no_sampler_file_imports_another():
    files = {sampler.__module__ for sampler in _functions_of_samplers()}
    offenders = {
        f"{module(file)} -> {name}"
        for file in sources("samplers")
        if module(file) in files
        for name in inside(imports(file), *(files - {module(file)}))
    }
    check("sampler files stand alone", offenders)


# The rooms that read no parameter of a sampler by its name: what they must know, it declares.
# block_length is the contract of Model.open; the bench runs other libraries' loops beside ours.
BLIND = ("lab.run", "lab.record", "lab.bench")
NAMED = {
    "lab.bench.peers": {"temperature", "steps", "threshold"},
    "lab.bench.cost_table": {"temperature"},
}


def test_no_parameter_name_of_sampler_stands_in_lab():
    names = {param.name for one in samplers.SAMPLERS.values() for param in one.params}
    names -= set(lab.ModelCard.__dataclass_fields__)  # a card's own, such as draft_length
    offenders = set()
    for file in sources("lab"):
        known = {"block_length"} | NAMED.get(module(file), set())
        if within(module(file), *BLIND):
            offenders |= {f"{module(file)} reads {key}" for key in _keys(file) & names - known}
    check("samplers declare what only they know", offenders)


def _keys(file: Path) -> set[str]:
    """The strings by which a file reads a mapping: values["steps"], values.get("steps")."""
    keys = set()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            keys.add(node.slice.value)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "get":
            keys |= {one.value for one in node.args[:1] if isinstance(one, ast.Constant)}
    return keys


def _functions_of_samplers() -> list:
    return [sampler.function for sampler in samplers.SAMPLERS.values()]


def test_libraries_are_imported_in_their_homes_only():
    offenders = {
        f"{name} -> {package}"
        for package, homes in HOMES.items()
        for name in importers(package)
        if not within(name, *homes)
    }
    check("libraries at home", offenders)


def test_records_never_import_torch():
    """Nor anything of the project that does."""
    files = {module(file): file for file in sources("lab", "samplers")}
    reached, todo = set(), {name for name in files if within(name, "lab.record")}
    while todo:
        reached.add(name := todo.pop())
        todo |= {n for n in imports(files[name]) if n in files} - reached - {"lab", "samplers"}
    guilty = {n for n in reached if inside(imports(files[n]), "torch")}
    assert len(reached) > 4
    check("records without torch", guilty)


def test_module_names_are_unique():
    files = [file for file in sources("samplers", "lab") if not file.stem.startswith("__")]
    counts = Counter(file.stem for file in files)
    offenders = {file.relative_to(ROOT).as_posix() for file in files if counts[file.stem] > 1}
    check("one module a name", offenders)


def test_class_names_are_unique():
    names = [
        (node.name, f"{module(file)}.{node.name}")
        for file in sources("samplers", "lab")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ClassDef)
    ]
    counts = Counter(name for name, _ in names)
    check("one class a name", {where for name, where in names if counts[name] > 1})


def test_no_file_is_too_long():
    offenders = set()
    for name, text in texts():
        written = name.startswith("assets/") or name.endswith((".md", ".txt", ".toml", "LICENSE"))
        if not written and text.count("\n") > LONGEST_FILE:
            offenders.add(name)
    check("files are short", offenders)


def test_no_function_is_too_long():
    offenders = {
        f"{module(file)}.{name}"
        for file in sources(".", "samplers", "lab", "examples", "docs")
        for name, lines in _function_lengths(file)
        if lines > LONGEST_FUNCTION
    }
    check("functions are short", offenders)


def _function_lengths(file: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.end_lineno - node.lineno + 1


def test_app_is_short():
    assert len((ROOT / "app.py").read_text("utf-8").splitlines()) <= 40


NO_ROOM = {"samplers", "kit", "conformance", "browser", "mutants", "reliability"}


def test_tests_mirror_tree():
    """A folder of tests stands for a room of the code, or is one of those that have no room."""
    rooms = {path.name for path in (ROOT / "lab").iterdir() if path.is_dir()}
    folders = {
        file.relative_to(ROOT).parts[1]
        for file in tracked()
        if file.relative_to(ROOT).parts[0] == "tests" and len(file.relative_to(ROOT).parts) > 2
    }
    assert folders <= rooms | NO_ROOM


def test_no_file_outgrows_space():
    assert not [file.name for file in tracked() if file.stat().st_size > 10_000_000]


def test_no_weights_but_safetensors():
    endings = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".npy")
    assert not [file.name for file in tracked() if file.name.endswith(endings)]


def test_project_speaks_of_itself_alone():
    """No path of a machine and no host of a package registry, in any text file."""
    tops = ("home", "root", "Users", "opt", "mnt", "srv", "work", "workspace", "venv")
    path = re.compile(rf"(?<![\w.)\]}}>$-])/(?:{'|'.join(tops)})/\w")
    host = re.compile(r"(?:pypi|pythonhosted|npmjs|debian|anaconda)\." + "(?:org|com|io)")
    own = [str(place) for place in (ROOT, Path.home()) if len(place.parts) > 1]
    for name, text in texts():
        for number, line in enumerate(text.splitlines(), 1):
            match = path.search(line) or host.search(line)
            assert not match, f"{name}:{number} names {match.group()}"
            assert not any(place + "/" in line for place in own), f"{name}:{number}"


def test_public_names_are_promised_ones():
    assert sorted(samplers.__all__) == ["SAMPLERS", "get"]
    promised = "ModelCard load models oracle read run save stream study table tasks wrap"
    assert sorted(lab.__all__) == promised.split()
    for package in (samplers, lab):
        assert all(hasattr(package, name) for name in package.__all__)
