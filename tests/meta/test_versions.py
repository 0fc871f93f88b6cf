"""All distributions are one release: one version, one licence, the same Pythons; constraints name versions only."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

PIN = re.compile(r"[A-Za-z0-9][\w.-]*==\d[\w.]*")


@pytest.fixture(scope="session")
def projects(distributions: Mapping[str, Path]) -> Mapping[str, dict[str, Any]]:
    """The ``project`` table of every distribution, by import name."""
    return {
        package: tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for package, folder in distributions.items()
    }


@pytest.fixture(scope="session")
def versions(distributions: Mapping[str, Path]) -> Mapping[str, str]:
    """The version that each distribution's own file states."""
    found = {}
    for package, folder in distributions.items():
        text = (folder / "src" / package / "_version.py").read_text(encoding="utf-8")
        found[package] = "".join(re.findall(r'^__version__ = "(.+)"$', text, flags=re.MULTILINE))
    return found


def test_all_distributions_share_one_version(versions: Mapping[str, str]) -> None:
    """An operator who reads one version knows them all."""
    assert set(versions.values()) == {versions["quiesce"]}
    assert re.fullmatch(r"\d+\.\d+\.\d+", versions["quiesce"])


def test_plugins_accept_this_minor_version_of_the_core(
    projects: Mapping[str, dict[str, Any]], versions: Mapping[str, str]
) -> None:
    """Before 1.0 a minor version may break; an adapter of another one must not install beside this core."""
    major, minor, _ = versions["quiesce"].split(".")
    expected = str(Requirement(f"quiesce>={major}.{minor},<{major}.{int(minor) + 1}").specifier)
    asked = {
        package: [str(r.specifier) for r in map(Requirement, project["dependencies"]) if r.name == "quiesce"]
        for package, project in projects.items()
        if package != "quiesce"
    }

    assert asked == {package: [expected] for package in asked}


def test_metadata_agrees(projects: Mapping[str, dict[str, Any]]) -> None:
    """Python, licence and marks on an index page are the product's, not one package's."""
    assert {project["requires-python"] for project in projects.values()} == {">=3.11"}
    assert {project["license"] for project in projects.values()} == {"MIT"}
    assert len({tuple(c for c in p["classifiers"] if "Python ::" in c) for p in projects.values()}) == 1


def test_every_distribution_carries_licence_and_readme(root: Path, distributions: Mapping[str, Path]) -> None:
    """Each is installed, and read about, alone."""
    for folder in distributions.values():
        assert (folder / "LICENSE").read_bytes() == (root / "LICENSE").read_bytes()
        assert (folder / "README.md").stat().st_size


def test_every_dependency_has_a_floor(projects: Mapping[str, dict[str, Any]]) -> None:
    """A dependency without a floor promises to work with its first release, which nobody tried."""
    lines = [line for project in projects.values() for line in project["dependencies"]]
    lines += [
        line for p in projects.values() for extra in p.get("optional-dependencies", {}).values() for line in extra
    ]

    assert [line for line in lines if not any(s.operator == ">=" for s in Requirement(line).specifier)] == []


def test_constraints_are_names_and_versions(root: Path) -> None:
    """An index address or a path in them would make the run depend on one machine."""
    files = [root / "constraints.txt", *sorted(root.glob("constraints/*.txt"))]
    for file in files:
        lines = file.read_text(encoding="utf-8").splitlines()
        names = [line.partition("==")[0].lower() for line in lines]

        assert [line for line in lines if not PIN.fullmatch(line)] == [], file.name
        assert len(set(names)) == len(names), file.name
        assert [name for name in names if name.startswith("quiesce")] == [], file.name


def test_constraints_cover_every_dependency(root: Path, projects: Mapping[str, dict[str, Any]]) -> None:
    """A dependency that was added and not locked is whatever is newest on the day of the run."""
    lines = [line for project in projects.values() for line in project["dependencies"]]
    lines += [
        line for p in projects.values() for extra in p.get("optional-dependencies", {}).values() for line in extra
    ]
    needed = {Requirement(line).name for line in lines} - {"quiesce"}
    for file in [root / "constraints.txt", *sorted(root.glob("constraints/*.txt"))]:
        locked = {line.partition("==")[0].lower() for line in file.read_text(encoding="utf-8").splitlines()}

        assert needed - locked == set(), f"{file.name}: run nox -s lock"


def test_changelog_has_an_unreleased_section(root: Path) -> None:
    """What the next release changes for whom is written down when it is made, not when it is released."""
    assert re.search(r"^## \[?Unreleased\]?$", (root / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize(
    "line",
    [
        "flask",
        "flask>=2",
        "-e ./x",
        "--pre",
        "flask @ file:///x",
        "flask==3.0 ; python_version<'4'",
        "",
    ],
)
def test_line_that_is_no_pin_is_found(line: str) -> None:
    """Proves the pattern that the files are held against."""
    assert not PIN.fullmatch(line)
