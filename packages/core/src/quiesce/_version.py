"""The version that all distributions of this repository share."""

from __future__ import annotations

__version__ = "0.1.0"
