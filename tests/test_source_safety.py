"""What the source never does: run code that it reads, draw from a global generator, print."""

import ast
import re
from pathlib import Path

import pytest

from tests.kit.project import calls, dotted, imports, module, sources, tree, within


def keyword(call: ast.Call, name: str) -> object:
    """The value of a call's keyword where it is written out, None otherwise."""
    for word in call.keywords:
        if word.arg == name and isinstance(word.value, ast.Constant):
            return word.value.value
    return None


@pytest.mark.parametrize("file", sources(".", "samplers", "lab", "tests"), ids=module)
def test_no_code_is_run_that_was_read(file: Path):
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
def test_runs_leave_global_generators_alone(file: Path):
    for package in ("numpy.random", "torch.random", "torch.manual_seed", "torch.rand"):
        assert not any(within(name, package) for name in imports(file)), package
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Attribute):
            name = dotted(node)
            bad = re.match(r"(np|numpy)\.random\.(?!_)(\w+)", name)
            assert not bad or bad.group(2) in SEEDED, f"{name} in line {node.lineno}"
            assert not re.match(r"random\.(?!Random$)", name), f"{name} in line {node.lineno}"
            assert not re.match(r"torch\.(manual_seed|seed|random|default_generator)\b", name), name
    assert not any(within(name, "random") and name != "random" for name in imports(file))
    for name, call in calls(file):
        last = name.rsplit(".", 1)[-1]
        seeded = any(word.arg == "generator" for word in call.keywords)
        draws = last in DRAWS and (name.startswith("torch.") or last.endswith("_"))
        assert not draws or seeded, f"{name} without a generator in line {call.lineno}"
        assert "gumbel_softmax" not in name and not name.endswith("rand_like"), name


TALKS = ("lab.cli", "lab.__main__", "lab.study.study_command")


@pytest.mark.parametrize("file", running(), ids=module)
def test_only_commands_print(file: Path):
    if module(file) not in TALKS:
        assert "print" not in {name for name, _ in calls(file)}
