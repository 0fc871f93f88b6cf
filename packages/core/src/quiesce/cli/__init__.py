"""The command line: parse, call the service, print."""

from __future__ import annotations

from .program import main

__all__ = ["main"]
