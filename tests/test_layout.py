"""The shape of the project, read from its source: who imports whom, and what stands nowhere."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import lab
import samplers

ROOT = Path(__file__).resolve().parents[1]
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
    found = (file for file in ROOT.rglob("*") if file.is_file())
    inside = ((file, file.relative_to(ROOT).parts) for file in found)
    return tuple(file for file, parts in inside if not any(map(_idle, parts)))


def _idle(part: str) -> bool:
    return part in IDLE or (part.startswith(".") and part not in (".ci", ".gitignore"))


def texts() -> Iterator[tuple[str, str]]:
    """Name and content of every tracked text file."""
    for file in tracked():
        content = file.read_bytes()
        if b"\0" not in content[:8192]:
            yield file.relative_to(ROOT).as_posix(), content.decode("utf-8", "replace")


def sources(*folders: str) -> list[Path]:
    """The Python files of these folders, tracked or not yet."""
    files = [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]
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


def within(name: str, package: str) -> bool:
    """Whether a dotted name is a package or lies inside it."""
    return name == package or name.startswith(package + ".")


def importers(package: str) -> set[str]:
    """The modules of app, lab and samplers that import a package."""
    files = sources("samplers", "lab") + [f for f in [ROOT / "app.py"] if f.exists()]
    return {module(f) for f in files if any(within(name, package) for name in imports(f))}


def outside(found: set[str], *allowed: str) -> set[str]:
    """Those of the modules found that lie in none of the packages allowed."""
    return {name for name in found if not any(within(name, package) for package in allowed)}


def test_samplers_import_torch_and_the_standard_library_only():
    tops = {name.split(".")[0] for file in sources("samplers") for name in imports(file)}
    assert tops - set(sys.stdlib_module_names) == {"torch", "samplers"}


def test_imports_point_from_app_to_ui_to_lab_to_samplers():
    assert not outside(importers("app"))
    assert not outside(importers("lab.ui"), "app", "lab.ui")
    assert not outside(importers("lab"), "app", "lab")
    assert not outside(importers("tests"))


def test_app_knows_only_the_ui():
    names = imports(ROOT / "app.py")
    assert {name for name in names if within(name, "lab")} <= {
        name for name in names if within(name, "lab.ui")
    } | {"lab"}
    assert not any(within(name, "samplers") or within(name, "torch") for name in names)


@pytest.mark.parametrize(
    ("package", "homes"),
    [
        ("transformers", ("lab.models", "lab.train")),
        ("tokenizers", ("lab.models", "lab.train")),
        ("safetensors", ("lab.models", "lab.train")),
        ("gradio", ("lab.ui",)),
        ("plotly", ("lab.run.recorder.figures",)),
        ("diffusers", ("lab.run.bench",)),
    ],
)
def test_a_library_is_imported_only_where_it_belongs(package: str, homes: tuple[str, ...]):
    assert not outside(importers(package), *homes)


def test_what_only_reads_arrays_never_imports_torch():
    """Trajectory, metrics, figures and export, and all of lab that they reach."""
    files = {module(file): file for file in sources("lab", "samplers")}
    roots = ("trajectory", "history", "metrics", "figures", "export")
    reached, todo = set(), [n for n in files if n.startswith(tuple(f"lab.{r}" for r in roots))]
    while todo:
        name = todo.pop()
        if name in reached:
            continue
        reached.add(name)
        found = {other for other in imports(files[name]) if other in files}
        todo += found - {"lab", "samplers"}
    guilty = {n for n in reached if any(within(name, "torch") for name in imports(files[n]))}
    assert len(reached) >= 4
    assert not guilty


def test_app_is_short():
    assert len((ROOT / "app.py").read_text("utf-8").splitlines()) <= 40


@pytest.mark.parametrize("sampler", samplers.SAMPLERS.values(), ids=lambda sampler: sampler.name)
def test_a_sampler_fits_on_a_screen(sampler):
    lengths = {
        node.name: node.end_lineno - node.lineno + 1
        for file in sources("samplers")
        for node in tree(file).body
        if isinstance(node, ast.FunctionDef)
    }
    assert lengths[sampler.name] <= 60


def calls(file: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file with the dotted name of what is called ("" where it has none)."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Call):
            yield _dotted(node.func), node


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = _dotted(node.value)
        return f"{base}.{node.attr}" if base else f".{node.attr}"
    return ""


def keyword(call: ast.Call, name: str) -> object:
    """The value of a call's keyword where it is written out, None otherwise."""
    for word in call.keywords:
        if word.arg == name and isinstance(word.value, ast.Constant):
            return word.value.value
    return None


@pytest.mark.parametrize("file", sources(".", "samplers", "lab", "tests"), ids=module)
def test_nothing_runs_code_that_it_reads(file: Path):
    for name, call in calls(file):
        where = f"{name} in line {call.lineno}"
        assert name not in ("eval", "exec", "torch.load", "os.system", "yaml.load"), where
        for word in ("trust_remote_code", "share", "shell", "allow_pickle"):
            assert keyword(call, word) is not True, f"{word}=True, {where}"
        assert keyword(call, "use_safetensors") is not False, where
    if module(file).startswith("tests"):
        return  # a test may pickle a Frame to see that it can be
    for package in ("pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"):
        assert not any(within(name, package) for name in imports(file)), package


# Draws that take a generator, and are drawn from the process's own where none is given.
DRAWS = {
    *("rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial", "poisson"),
    *("random_", "uniform_", "normal_", "bernoulli_", "exponential_", "geometric_", "cauchy_"),
}
SEEDED = {"default_rng", "Generator", "SeedSequence", "Philox", "PCG64"}


def running() -> list[Path]:
    """The sources that a run goes through; training seeds a process of its own."""
    return [f for f in sources("samplers", "lab") if not within(module(f), "lab.train")]


@pytest.mark.parametrize("file", running(), ids=module)
def test_no_run_touches_the_global_generators(file: Path):
    for package in ("random", "numpy.random", "torch.random", "torch.manual_seed", "torch.rand"):
        assert not any(within(name, package) for name in imports(file)), package
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Attribute):
            name = _dotted(node)
            bad = re.match(r"(np|numpy)\.random\.(?!_)(\w+)", name)
            assert not bad or bad.group(2) in SEEDED, f"{name} in line {node.lineno}"
            assert not re.match(r"torch\.(manual_seed|seed|random|default_generator)\b", name), name
    for name, call in calls(file):
        last = name.rsplit(".", 1)[-1]
        given = any(word.arg == "generator" for word in call.keywords)
        drawn = last in DRAWS and (name.startswith("torch.") or last.endswith("_"))
        assert not drawn or given, f"{name} without a generator in line {call.lineno}"
        assert "gumbel_softmax" not in name and not name.endswith("rand_like"), name


TALKS = ("lab.cli", "lab.__main__")


@pytest.mark.parametrize("file", running(), ids=module)
def test_only_commands_print(file: Path):
    if module(file) not in TALKS:
        assert "print" not in {name for name, _ in calls(file)}


def test_no_file_outgrows_a_space():
    assert not [file.name for file in tracked() if file.stat().st_size > 10_000_000]


def test_no_weights_but_safetensors():
    endings = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".npy")
    assert not [file.name for file in tracked() if file.name.endswith(endings)]


def test_the_project_speaks_of_itself_alone():
    """No path of a machine and no host of a package registry, in any text file."""
    tops = ("home", "root", "Users", "opt", "mnt", "srv", "work", "workspace", "venv")
    path = re.compile(rf"(?<![\w.)\]}}>$-])/(?:{'|'.join(tops)})/\w")
    host = re.compile(r"(?:pypi|pythonhosted|npmjs|debian|anaconda)\." + "(?:org|com|io)")
    own = [str(place) for place in (ROOT, Path.home()) if len(place.parts) > 1]
    for name, text in texts():
        for number, line in enumerate(text.splitlines(), 1):
            found = path.search(line) or host.search(line)
            assert not found, f"{name}:{number} names {found.group()}"
            assert not any(place + "/" in line for place in own), f"{name}:{number}"


def requirements(name: str) -> dict[str, str]:
    """{package: what its version must be} of a requirements file."""
    lines = (ROOT / name).read_text("utf-8").splitlines()
    wanted = [line.split("#")[0].strip() for line in lines]
    pattern = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[\w,-]+\])?\s*(.*)")
    return {
        match[1].lower(): match[2]
        for match in map(pattern.fullmatch, (w for w in wanted if w and not w.startswith("-")))
    }


@pytest.mark.parametrize("name", ["requirements.txt", "tests/requirements.txt"])
def test_every_requirement_is_bounded_and_wanted(name: str):
    wanted = requirements(name)
    # Packages of these names exist and have nothing to do with the models.
    assert not {"llada", "dinfer"} & set(wanted)
    for package, version in wanted.items():
        assert "==" in version or "<" in version, f"{package} has no upper bound: {version!r}"


def test_tests_install_what_the_app_installs():
    assert "-r ../requirements.txt" in (ROOT / "tests/requirements.txt").read_text("utf-8")
    assert not set(requirements("requirements.txt")) & set(requirements("tests/requirements.txt"))


def test_pydantic_fits_what_a_space_installs_beside_it():
    """A Space adds gradio's mcp extra, which refuses pydantic from 2.13 on."""
    assert requirements("requirements.txt")["pydantic"].endswith("<2.13")


def test_all_imported_packages_are_required():
    wanted = {p.replace("-", "_") for p in requirements("requirements.txt")}
    local = {"app", "lab", "samplers", *sys.stdlib_module_names}
    # A Space brings `spaces`; training on a hub data set asks for `datasets` by name; the bench
    # compares with `diffusers` where that is installed.
    optional = {"spaces", "datasets", "diffusers"}
    found = {name.split(".")[0] for file in sources("samplers", "lab") for name in imports(file)}
    assert found - local - optional <= wanted


def test_public_names_are_the_promised_ones():
    assert sorted(samplers.__all__) == ["SAMPLERS", "get"]
    assert sorted(lab.__all__) == [
        *("ModelCard", "load", "models", "oracle", "read", "run", "save", "stream", "tasks"),
        *("table", "wrap"),
    ]
    for package in (samplers, lab):
        assert all(hasattr(package, name) for name in package.__all__)
