"""The licences of all that is installed, listed by one command."""

from pathlib import Path

import pytest

from docs import licences
from tests.kit.project import requirements


def package(folder: Path, name: str, metadata: str, text: str = "") -> Path:
    """An installed distribution, as far as its metadata go."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{metadata}")
    if text:
        (info / "LICENSE").write_text(text)
        (info / "RECORD").write_text(f"{info.name}/LICENSE,,\n")
    return info


def test_every_dependency_says_its_licence(capsys):
    assert licences.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {row[1].strip(): row for row in (line.split("|") for line in lines)}
    for file in licences.FILES:
        for name in requirements(file):
            assert rows[name.lower().replace("_", "-")][4].strip() == file
    assert len(rows) > 80  # with what those bring
    assert rows["torch"][3] and "mcp" in rows and "rpds-py" in rows


CLASS = "Classifier: License :: OSI Approved"


@pytest.mark.parametrize(("metadata", "text", "expected"), [
    ("License-Expression: MIT\nLicense: other\n", "", "MIT"),
    (f"{CLASS}\n{CLASS} :: BSD License\n", "", "BSD License"),
    ("License: MPL-2.0\n", "", "MPL-2.0"),
    ("", "\nMIT License\n\nCopyright\n", "MIT License"),
    ("Classifier: Topic :: Text\n", "", ""),
])  # fmt: skip
def test_licence_is_read_wherever_it_is_said(metadata, text, expected, tmp_path):
    info = package(tmp_path, "one", metadata, text)
    assert licences.licence(licences.Distribution.at(info)) == expected


def test_silent_and_missing_packages_fail(tmp_path, monkeypatch, capsys):
    package(tmp_path, "silent", "Requires-Dist: absent; python_version > '3'\n"
            "Requires-Dist: other; extra == 'more'\n")  # fmt: skip
    package(tmp_path, "other", "License: MIT\n")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "base.txt").write_text("# a comment\n-r more.txt\n")
    (tmp_path / "more.txt").write_text("silent[more]>=1.0  # why\n")
    assert licences.main([str(tmp_path / "base.txt")]) == 1
    out, err = capsys.readouterr()
    assert "| absent | not installed | **unknown** |" in out and "| other | 1.0 | MIT |" in out
    assert "no licence is known of absent, silent" in err
