"""The GraphQL view of the how-to on plugins does what the page says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

HOWTO = Path(__file__).parents[2] / "docs/how-to/write-a-plugin.md"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The application of the page, in a folder of its own with the page's settings."""
    blocks = re.findall(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", HOWTO.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    for name, text in blocks:
        if name in ("quiesce.toml", "shop.py"):
            (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    spec = spec_from_file_location("shop_of_the_howto", tmp_path / "shop.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    module.service.close()


def test_guarded_mutation_is_refused_and_query_answered(shop: ModuleType) -> None:
    """One path, one method: only the guard knows the difference."""
    client = shop.app.test_client()

    def status(document: str) -> int:
        return int(client.post("/graphql", json={"query": document}).status_code)

    before = status("{ products }"), status("mutation { pay }")
    shop.service.enable(reason="New payment provider", operations=["payments"], actor="test")
    during = status("{ products }"), status("mutation { pay }")
    shop.service.disable(actor="test")
    after = status("mutation { pay }")

    assert (before, during, after) == ((200, 200), (200, 503), 200)
