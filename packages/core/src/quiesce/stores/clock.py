"""A clock that all processes of a machine share and that no clock step moves."""

from __future__ import annotations

import functools
import time
from pathlib import Path

FROM_ANOTHER_BOOT = 30 * 86400.0
"""Age in seconds of what was stamped before the last boot: finite, and beyond any lease."""


@functools.cache
def boot_id() -> str:
    """Return what tells this boot of the machine from all others; empty where the kernel has no such thing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def seconds_since_boot() -> float:
    """Return the seconds since boot, suspended time included."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def age(boot: str, stamp: float) -> float:
    """Return the seconds since ``stamp`` was taken by ``seconds_since_boot`` under the boot of that id."""
    elapsed = seconds_since_boot() - stamp
    if boot != boot_id() or (elapsed < 0 and not boot):
        return FROM_ANOTHER_BOOT
    return max(elapsed, 0.0)
