"""Runs the measurements: ``python benchmarks/run.py --help``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if __name__ == "__main__":  # worker processes load this file too, and need nothing of it
    from benchmarks.command import main

    sys.exit(main())
