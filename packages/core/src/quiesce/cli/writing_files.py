"""Writes a file that names people: whole or not at all, and readable for nobody else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ..model import InvalidValueError


@contextmanager
def writing_privately(output: str) -> Iterator[TextIO]:
    """Lend a file that stands at ``output`` when all is written.

    Raises:
        InvalidValueError: it cannot be written.
    """
    path = Path(output)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
                yield file
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as exc:
        cause = getattr(exc, "strerror", None) or exc
        raise InvalidValueError("--output", f"{path} cannot be written: {cause}") from exc
