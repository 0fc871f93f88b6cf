"""The private folder for what the processes of one user share on one machine."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from ..model import BoardError

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a private folder is made in it, and checked
"""The same for every process of a machine, which ``TMPDIR`` and the folder of a log-in session are not."""


def runtime_folder() -> Path:
    """Return ``quiesce-UID`` in shared memory, or else in the folder for temporary files; made if need be.

    Raises:
        BoardError: it cannot be made, or somebody else could write into it.
    """
    user = os.geteuid()
    place = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    folder = place / f"quiesce-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as exc:
        raise BoardError(f"no private folder can be made for the machine's shared snapshot: {exc}") from exc
    problem = _problem(folder, user)
    if problem is not None:
        raise BoardError(f"the folder {folder} for the machine's shared snapshot cannot be trusted: it {problem}")
    return folder


def _problem(folder: Path, user: int) -> str | None:
    try:
        status = folder.lstat()
    except OSError as exc:
        return f"cannot be looked at: {exc.strerror}"
    if not stat.S_ISDIR(status.st_mode):
        return "is no folder, or a symbolic link"
    if status.st_uid != user:
        return f"belongs to user {status.st_uid}"
    if status.st_mode & 0o077:
        return f"is open to others (mode {stat.S_IMODE(status.st_mode):04o})"
    return None
