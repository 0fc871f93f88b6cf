"""The demo goes through."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_demo_walks_the_whole_cycle(root: Path, folder: Path) -> None:
    """It is the first thing that a newcomer runs, and it stops at the first surprise."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    done = subprocess.run(
        [sys.executable, str(root / "examples/demo/run.py")],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "The whole cycle went as promised." in done.stdout
    assert "mail: was the first put off, and sent again with the same id?    [451, 250]" in done.stdout
    assert "webhook: was the first put off, and sent again with the same id? [503, 204]" in done.stdout
    assert "the audit trail?                                                 intact" in done.stdout
