"""The versions that are installed: bounded on both sides, tested at both ends, free of hosts."""

import re
import sys

import pytest

from tests.kit.project import ROOT, imports, requirements, sources

FILES = ("requirements.txt", "tests/requirements.txt")


@pytest.mark.parametrize("name", FILES)
def test_requirements_have_upper_bound(name: str):
    entries = requirements(name)
    # Packages of these names exist and have nothing to do with the models.
    assert not {"llada", "dinfer"} & set(entries)
    for package, version in entries.items():
        assert re.fullmatch(r"==[\d.]+|>=[\d.]+,<[\d.]+", version), f"{package}{version}"


def test_tests_install_what_app_installs():
    assert "-r ../requirements.txt" in (ROOT / "tests/requirements.txt").read_text("utf-8")
    assert not set(requirements("requirements.txt")) & set(requirements("tests/requirements.txt"))


def test_constraints_fix_every_requirement_within_its_range():
    fixed = {name.replace("_", "-"): v for name, v in requirements("constraints.txt").items()}
    for name in FILES:
        for package, allowed in requirements(name).items():
            exact = fixed[package.replace("_", "-")].removeprefix("==")
            numbers = _numbers(exact)
            for bound in allowed.split(","):
                sign, limit = re.fullmatch(r"(==|>=|<)([\d.]+)", bound).groups()
                limit = _numbers(limit)
                fits = {"==": numbers == limit, ">=": numbers >= limit, "<": numbers < limit}
                assert fits[sign], f"{package}: {exact} is not {allowed}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def test_constraints_leave_origin_of_torch_free():
    text = (ROOT / "constraints.txt").read_text("utf-8")
    assert re.search(r"^torch==[\d.]+$", text, re.MULTILINE)
    assert not re.search(r"nvidia|cuda|triton|\+|://|^-", text, re.MULTILINE)


def test_pydantic_fits_what_space_installs_beside_it():
    """A Space adds gradio's mcp extra, which refuses pydantic from 2.13 on."""
    assert requirements("requirements.txt")["pydantic"].endswith("<2.13")


def test_all_imported_packages_are_required():
    listed = {package.replace("-", "_") for package in requirements("requirements.txt")}
    local = {"app", "lab", "samplers", *sys.stdlib_module_names}
    # A Space brings `spaces`; training on a hub data set asks for `datasets` by name; the bench
    # compares with `diffusers` where that is installed.
    optional = {"spaces", "datasets", "diffusers"}
    # Imported under other names.
    listed |= {"yaml"} if "pyyaml" in listed else set()
    listed |= {"PIL"} if "pillow" in listed else set()
    names = {name.split(".")[0] for file in sources("samplers", "lab") for name in imports(file)}
    assert names - local - optional <= listed


def test_lock_of_space_has_same_versions_with_hashes():
    text = (ROOT / "requirements-space.txt").read_text("utf-8")
    locked = dict(re.findall(r"^([\w.-]+)==(\S+) \\$", text, re.MULTILINE))
    assert len(locked) == text.count("    --hash=sha256:")
    fixed = requirements("constraints.txt")
    assert not {n for n, v in locked.items() if n in fixed and f"=={v}" != fixed[n]}
    builder = {"uvicorn", "websockets", "spaces", "mcp"}  # which adds them without hashes
    assert {name.replace("_", "-") for name in requirements("requirements.txt")} <= set(locked)
    assert builder <= set(locked)
