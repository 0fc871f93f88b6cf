"""Says what is wrong with a hook implementation, before it is registered."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..spelling import nearest

_NAMED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def problem_of(
    function: Callable[..., object], options: Mapping[str, Any], *, hook: str, specs: Mapping[str, tuple[str, ...]]
) -> str | None:
    """Return why this cannot implement the hook, or ``None`` when it can.

    Args:
        function: as pluggy would call it.
        options: what ``@hookimpl`` was given.
        hook: the name of the hook that it is meant for.
        specs: the argument names of each hook.
    """
    if hook not in specs:
        if options.get("optionalhook"):
            return None
        near = nearest(hook, specs)
        hint = f"there are {', '.join(specs)}" if near is None else f"did you mean {near!r}?"
        return f"implements {hook!r}, which is no hook; {hint}"
    if options.get("wrapper") or options.get("hookwrapper"):
        return f"implements {hook!r} as a wrapper; wrappers are not supported"
    if inspect.iscoroutinefunction(function):
        return f"implements {hook!r} as a coroutine function; hooks are synchronous"
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        return f"implements {hook!r} as a generator; a hook returns its answer"
    return _problem_of_parameters(function, hook, specs[hook])


def _problem_of_parameters(function: Callable[..., object], hook: str, known: tuple[str, ...]) -> str | None:
    signature = f"{hook}({', '.join(known)})"
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return f"implements {hook!r} by something without a signature; write {signature}"
    for parameter in parameters:
        if parameter.kind not in _NAMED:
            return f"implements {hook!r} with the parameter {str(parameter)!r}, which is never given; write {signature}"
        if parameter.name not in known:
            return f"implements {hook!r} with the unknown parameter {parameter.name!r}; write {signature}"
        if parameter.default is not parameter.empty:
            return f"implements {hook!r} with a default for {parameter.name!r}, so it is never given; write {signature}"
    return None


def implementations_of(
    plugin: object, parse: Callable[[str], Mapping[str, Any] | None], *, mark: str, specs: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, str | None]]:
    """Yield the name of each hook that the plugin implements, and what is wrong with that, if anything.

    Args:
        plugin: a module or an object.
        parse: what pluggy makes of a member: the options of ``@hookimpl``, or ``None``.
        mark: the attribute in which ``@hookimpl`` keeps them.
        specs: the argument names of each hook.
    """
    for name in dir(plugin):
        try:
            member = getattr(plugin, name)
            options = parse(name)
            marked = isinstance(inspect.getattr_static(member, mark, None), dict)
        except Exception:  # noqa: BLE001, S112 -- a member of a plugin that cannot even be read is no hook
            continue
        if options is not None:
            hook = options.get("specname") or name
            yield hook, problem_of(member, options, hook=hook, specs=specs)
        elif marked:
            yield name, f"marks {name!r} as a hook, but it is no plain function"
        elif name in specs and inspect.isfunction(member) and member.__module__ == getattr(plugin, "__name__", None):
            yield name, f"has a function {name!r} without @hookimpl, so it would never be called"
