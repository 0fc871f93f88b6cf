"""The private folder for what the processes of one user share on one machine."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from ..model import BoardError

SESSIONS = Path("/run/user")
"""Where the session manager makes a private folder for each user who is logged in."""


def runtime_folder() -> Path:
    """Return ``/run/user/UID/quiesce``, or ``quiesce-UID`` in the folder for temporary files; made if need be.

    Raises:
        BoardError: it cannot be made, or somebody else could write into it.
    """
    user = os.geteuid()
    session = SESSIONS / str(user)
    try:
        is_usable = _problem(session, user) is None
        folder = session / "quiesce" if is_usable else Path(tempfile.gettempdir()) / f"quiesce-{user}"
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
