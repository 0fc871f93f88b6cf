"""Where the sources lie that the meta tests read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the working tree."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def distributions(root: Path) -> Mapping[str, Path]:
    """The folder of every distribution of ``packages``, by the name it is imported under."""
    return {source.name: source.parents[1] for source in sorted(root.glob("packages/*/src/*")) if source.is_dir()}


@pytest.fixture(scope="session")
def modules(distributions: Mapping[str, Path]) -> Mapping[str, Path]:
    """The file of every module of the distributions, by its dotted name."""
    found = {}
    for folder in distributions.values():
        for path in sorted(folder.glob("src/**/*.py")):
            parts = path.relative_to(folder / "src").with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = path
    return found
