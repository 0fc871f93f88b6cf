"""What is known about a plugin, and what became of a call to one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """One plugin, as ``quiesce plugins`` lists it.

    Attributes:
        name: of its entry point, or as it was registered.
        distribution: the distribution that brought it; ``None``: registered by code.
        version: of the distribution.
        module: where it lives.
        hooks: names of the hooks that it implements; a plugin may have none.
        disabled: whether it was blocked by name, and so never imported.
    """

    name: str
    distribution: str | None
    version: str | None
    module: str
    hooks: tuple[str, ...] = ()
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class HookResult:
    """What became of one plugin's part of a hook.

    Attributes:
        plugin: its name.
        ok: whether it returned in time and without an error.
        seconds: how long it took, or how long was waited for it.
        error: what went wrong, in words; ``None`` when nothing did.
        answer: what it returned.
        exception: what it raised.
    """

    plugin: str
    ok: bool
    seconds: float
    error: str | None = None
    answer: object = None
    exception: BaseException | None = None
