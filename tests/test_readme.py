"""The README tells the truth: its table, tree, commands, code and front matter are those in use."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lab import cli_options
from lab.train import evaluate, settings
from tests.kit.project import ROOT, requirements, tracked
from tests.kit.readme_table import README, updated

TEXT = README.read_text("utf-8")
COMMANDS = [
    "pip install -r requirements.txt -c constraints.txt && python app.py",
    "pip install -r tests/requirements.txt -c constraints.txt && python -m pytest",
]


def fenced(language: str) -> list[str]:
    """The README's code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def front_matter() -> dict[str, object]:
    """The block that a Space reads."""
    return yaml.safe_load(TEXT.split("---\n")[1])


def test_tables_are_the_registry_and_the_families():
    assert updated(TEXT) == TEXT, "run: python -m tests.kit.readme_table --write"


def test_front_matter_is_what_a_space_accepts():
    front = front_matter()
    assert requirements("requirements.txt")["gradio"] == f"=={front['sdk_version']}"
    assert front["sdk"] == "gradio"
    assert isinstance(front["python_version"], str)  # unquoted, 3.10 would be read as 3.1
    assert len(front["short_description"]) <= 60
    assert (ROOT / front["app_file"]).exists()
    assert front["license"] == "apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")


def test_the_two_commands_stand_alone_and_ci_runs_the_second():
    blocks = [block.strip() for block in fenced("bash")]
    assert blocks[:2] == COMMANDS
    # .ci/run takes its test command from the README: the one line that this matches.
    script = (ROOT / ".ci/run").read_text("utf-8")
    pattern = re.search(r"grep -x '(.+)' README.md", script)[1]
    assert [line for line in TEXT.splitlines() if re.fullmatch(pattern, line)] == COMMANDS[1:]


def test_shell_examples_are_understood():
    examples = [block.strip() for block in fenced("bash")[2:]]
    assert examples
    for example in examples:
        python, flag, module, *arguments = shlex.split(example)
        assert (python, flag, module) == ("python", "-m", "lab")
        command, *rest = arguments
        if command == "train":
            settings.parse(rest, "")
        elif command == "evaluate":
            evaluate.parser().parse_args(rest)
        else:
            cli_options.parse(command, rest)


def test_python_examples_run_as_they_stand(tmp_path: Path):
    """In one process of their own: one of them registers a sampler."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(fenced("python"))],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs.csv").exists()


def test_first_python_example_is_short():
    assert len(fenced("python")[0].strip().splitlines()) <= 10


def test_tree_names_what_is_there():
    tree = fenced("text")[-1]
    named, folder = set(), ""
    for line in tree.splitlines():
        name = line.split()[0]
        folder = folder if line.startswith(" ") else name
        path = folder + name if line.startswith(" ") else name
        assert (ROOT / path).exists(), f"the README's tree names {path}, which is not there"
        named.add(path.rstrip("/"))
    inside = {file.relative_to(ROOT).parts for file in tracked()}
    lab = {f"lab/{parts[1]}" for parts in inside if parts[0] == "lab"}
    lab -= {"lab/__init__.py", "lab/__main__.py"}
    assert lab <= named, "the README's tree leaves out a file of lab/"
    folders = {parts[0] for parts in inside if len(parts) > 1 and not parts[0].startswith(".")}
    assert folders <= named


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_and_pictures_are_there(name: str):
    targets = re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text("utf-8"))
    for target in targets:
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_paths_in_contributing_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for path in re.findall(r"`((?:samplers|lab|tests|assets|\.ci)/[\w./]+)`", text):
        assert (ROOT / path).exists(), path
