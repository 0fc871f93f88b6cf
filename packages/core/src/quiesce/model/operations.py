"""Operation types: what a request does, and which modes refuse that."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from .errors import InvalidValueError
from .modes import Mode

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_WRITES = frozenset({Mode.NORMAL, Mode.EMERGENCY})


@dataclass(frozen=True, slots=True)
class OperationType:
    """A kind of operation; two are equal when their names are.

    The guide's types are attributes of this class (``OperationType.JOB_CREATION``); a plugin or a TOML file adds
    its own by making an instance.

    Attributes:
        name: lower-case identifier, at most 64 characters; what the API and the CLI print.
        description: one line for operators.
        message: one sentence for the users who are refused.
        blocked_in: the modes that refuse this type by default; a test window judges as a normal one.
    """

    name: str
    description: str = field(default="", compare=False)
    message: str = field(default="", compare=False)
    blocked_in: frozenset[Mode] = field(default=_WRITES, compare=False)

    CAPTION_GENERATION: ClassVar[OperationType]
    JOB_CREATION: ClassVar[OperationType]
    PLATFORM_OPERATIONS: ClassVar[OperationType]
    BATCH_OPERATIONS: ClassVar[OperationType]
    USER_DATA_MODIFICATION: ClassVar[OperationType]
    IMAGE_PROCESSING: ClassVar[OperationType]
    ADMIN_OPERATIONS: ClassVar[OperationType]
    READ_OPERATIONS: ClassVar[OperationType]
    AUTHENTICATION: ClassVar[OperationType]
    CUSTOM_OPERATION: ClassVar[OperationType]

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidValueError(
                "operation", f"{self.name!r:.80} is not a lower-case identifier of at most 64 characters"
            )

    def is_blocked_by_default(self, mode: Mode) -> bool:
        """Whether a window of this mode that names no types of its own covers this one."""
        return (Mode.NORMAL if mode is Mode.TEST else mode) in self.blocked_in

    def __str__(self) -> str:
        return self.name


def _define(name: str, description: str, message: str, blocked_in: Iterable[Mode] = _WRITES) -> OperationType:
    operation = OperationType(name.lower(), description, message, frozenset(blocked_in))
    setattr(OperationType, name, operation)
    return operation


BUILTIN_OPERATIONS: tuple[OperationType, ...] = (
    _define("CAPTION_GENERATION", "Generating captions with AI", "Caption generation is paused during maintenance."),
    _define("JOB_CREATION", "Starting background jobs", "New jobs cannot be started during maintenance."),
    _define(
        "PLATFORM_OPERATIONS",
        "Connecting to and switching platforms",
        "Platform connections cannot be changed during maintenance.",
    ),
    _define("BATCH_OPERATIONS", "Bulk processing", "Bulk processing is paused during maintenance."),
    _define(
        "USER_DATA_MODIFICATION",
        "Changing users' data, and every write that has no type of its own",
        "Changes cannot be saved during maintenance.",
    ),
    _define(
        "IMAGE_PROCESSING",
        "Uploading, optimising and analysing images",
        "Image processing is paused during maintenance.",
    ),
    _define(
        "ADMIN_OPERATIONS",
        "Administering the application",
        "Only administrators have access right now.",
        {Mode.EMERGENCY},
    ),
    _define("READ_OPERATIONS", "Viewing pages and data", "The service is unavailable right now.", {Mode.EMERGENCY}),
    _define("AUTHENTICATION", "Logging in and out", "Logging in is limited to administrators during maintenance.", ()),
    _define("CUSTOM_OPERATION", "Operations with a custom rule", "This operation is paused during maintenance."),
)
"""The guide's eight types, authentication, and the type of custom rules."""
