"""README and docs tell the truth: tables, tree, commands, code, links and citations."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import lab
from docs import generate
from lab import cli_options
from lab.study import study_command
from lab.train import evaluate, settings
from samplers import SAMPLERS
from tests.kit.project import ROOT, requirements, texts, tracked

COMMANDS = [
    "pip install -r requirements.txt -c constraints.txt && python app.py",
    "pip install -r tests/requirements.txt -c constraints.txt && python -m pytest",
]
README = (ROOT / "README.md").read_text("utf-8")
DOCS = sorted(file.relative_to(ROOT).as_posix() for file in (ROOT / "docs").glob("*.md"))
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *DOCS]
IN_TEXT = re.compile(r"`((?:samplers|lab|tests|assets|docs|examples|\.ci)/[\w./]+)`")


def page(name: str) -> str:
    """The text of a page."""
    return (ROOT / name).read_text("utf-8")


def fenced(name: str, language: str) -> list[str]:
    """A page's code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page(name), re.DOTALL | re.MULTILINE)


def front_matter() -> dict[str, object]:
    """The block that a Space reads."""
    return yaml.safe_load(README.split("---\n")[1])


@pytest.mark.parametrize("name", [*generate.TABLES, *generate.FIGURES, *generate.CARDS])
def test_tables_are_up_to_date(name: str):
    assert generate.updated(name) == page(name), "run: make docs"


def test_readme_is_short():
    assert len(README.splitlines()) < 220


def test_front_matter_is_what_space_accepts():
    front = front_matter()
    assert requirements("requirements.txt")["gradio"] == f"=={front['sdk_version']}"
    assert front["sdk"] == "gradio"
    assert isinstance(front["python_version"], str)  # unquoted, 3.10 would be read as 3.1
    assert len(front["short_description"]) <= 60
    assert (ROOT / front["app_file"]).exists()
    assert front["license"] == "apache-2.0"
    assert "Apache License" in page("LICENSE")


def test_two_commands_stand_alone_and_ci_runs_second():
    blocks = [block.strip() for block in fenced("README.md", "bash")]
    assert blocks[:2] == COMMANDS
    # .ci/run takes its test command from the README: the one line that this matches.
    pattern = re.search(r"grep -x '(.+)' README.md", page(".ci/run"))[1]
    assert [line for line in README.splitlines() if re.fullmatch(pattern, line)] == COMMANDS[1:]


@pytest.mark.parametrize("name", PAGES)
def test_shell_examples_are_understood(name: str):
    lines = [line for block in fenced(name, "bash") for line in block.splitlines()]
    for example in lines:
        if not example.startswith("python -m lab "):
            continue
        command, *rest = shlex.split(example)[3:]
        if command == "train":
            settings.parse(rest, "")
        elif command == "evaluate":
            evaluate.parser().parse_args(rest)
        elif command == "study":
            study_command.parser().parse_args(rest)
        else:
            cli_options.parse(command, rest)


def test_python_examples_run_as_they_stand(tmp_path: Path):
    """In one process: the page on CSV reads the file that the README saves."""
    code = [
        block
        for name in ("README.md", "docs/csv.md", "docs/study.md", "docs/choosing-a-sampler.md")
        for block in fenced(name, "python")
    ]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(code)],
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
    assert len(fenced("README.md", "python")[0].strip().splitlines()) <= 10


def test_tree_names_rooms():
    tree = fenced("docs/architecture.md", "text")[1]
    named, folder = set(), ""
    for line in tree.splitlines():
        name = line.split()[0]
        folder = folder if line.startswith(" ") else name
        path = folder + name if line.startswith(" ") else name
        assert (ROOT / path).exists(), f"the tree names {path}, which is not there"
        named.add(path.rstrip("/"))
    parts = {file.relative_to(ROOT).parts for file in tracked()}
    rooms = {f"lab/{p[1]}" for p in parts if p[0] == "lab" and not p[1].startswith("__")}
    folders = {p[0] for p in parts if len(p) > 1 and not p[0].startswith(".")}
    assert rooms | folders <= named


def test_public_names_are_listed():
    public = fenced("docs/architecture.md", "text")[2]
    missing = set(lab.__all__) - {"ModelCard"} - set(re.findall(r"lab\.(\w+)", public))
    assert not missing
    listed = re.search(r"^python -m lab (.+)$", public, re.MULTILINE)[1].split(" | ")
    assert set(listed) == set(cli_options.COMMANDS)


def test_objectives_are_those_of_trainer():
    listed = re.findall(r"^\| `(\w+)` \|", page("docs/training.md"), re.MULTILINE)
    (action,) = (a for a in settings.parser("")._actions if "--objective" in a.option_strings)
    assert sorted(listed) == sorted(action.choices)


def test_changelog_has_release():
    assert re.search(r"^## 0\.1\.0$", page("CHANGELOG.md"), re.MULTILINE)


@pytest.mark.parametrize("name", PAGES)
def test_links_and_pictures_are_there(name: str):
    here = (ROOT / name).parent
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", page(name)):
        if target.startswith("https://"):
            continue
        file = (here / target).resolve() if target else ROOT / name
        assert file.exists(), target
        heads = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE) if anchor else []
        assert not anchor or anchor in map(slug, heads), f"{target}#{anchor}"


def slug(heading: str) -> str:
    """The anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", PAGES)
def test_paths_in_text_are_there(name: str):
    for path in IN_TEXT.findall(page(name)):
        assert (ROOT / path).exists(), path


def test_citations_point_into_docs():
    """A citation such as `docs/laws.md P2` names a law; no page is cited that is not there."""
    laws = set(re.findall(r"^\| ([LPG]\d+) ", page("docs/laws.md"), re.MULTILINE))
    for name, text in texts():
        if name.endswith((".py", ".js", ".css")) and name != "tests/test_readme.py":
            cited = re.findall(r"docs/laws\.md,? ([LPG]\d+)", text)
            assert set(cited) <= laws, name
            cited_pages = set(re.findall(r"docs/[\w/-]+\.md", text))
            assert not {page for page in cited_pages if not (ROOT / page).exists()}, name
            bare = re.search(r"(?<!docs/)\b(laws|samplers|tasks|study|design|data)\.md\b", text)
            assert not bare, f"{name} cites {bare.group()}, which a reader does not find"


def test_every_sampler_is_in_readme():
    assert all(f"| `{name}` |" in README for name in SAMPLERS)


def test_readme_links_every_page():
    assert all(f"({name})" in README for name in DOCS)
