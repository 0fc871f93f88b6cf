"""Which file system a path lies on, to refuse those whose locks and memory maps machines do not share."""

from __future__ import annotations

import re
from pathlib import Path

from ..model import StoreURLError

MOUNTINFO = Path("/proc/self/mountinfo")
_NETWORK = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse.ceph",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
    }
)
_ESCAPE = re.compile(r"\\([0-7]{3})")


def file_system_type(path: Path) -> str | None:
    """Return the type of the file system that holds ``path``, as in proc(5) ``mountinfo``; ``None``: not known."""
    try:
        lines = MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    parts = path.resolve().parts
    found, depth = None, -1
    for line in lines:
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if not separator or len(fields) < 5:
            continue
        mount = Path(_ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[4])).parts
        # A later mount on the same point covers the earlier one.
        if parts[: len(mount)] == mount and len(mount) >= depth:
            found, depth = after.split(" ")[0], len(mount)
    return found


def refuse_network_file_system(path: Path) -> None:
    """Raise ``StoreURLError`` when ``path`` lies on a network file system."""
    kind = file_system_type(path)
    if kind in _NETWORK:
        raise StoreURLError(
            f"{path} lies on a network file system ({kind}), where locks and shared memory do not hold;"
            " use a local folder, or a Redis store"
        )
