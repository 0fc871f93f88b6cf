"""Loads plugins and calls their hooks; nobody else touches pluggy."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, replace
from functools import partial
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

import pluggy

from ..model import (
    BUILTIN_OPERATIONS,
    JobHold,
    JobRecord,
    JobStop,
    MaintenanceState,
    MaintenanceWindow,
    Notice,
    OperationType,
    PluginError,
    QuiesceError,
    RequestInfo,
    SessionInvalidation,
)
from . import hookspecs
from .calls import call_all, describe, discard_awaitable
from .checking import implementations_of
from .discovery import discover, warn_of_unknown
from .results import HookResult, PluginInfo

if TYPE_CHECKING:
    from ..settings import Settings
    from ..stores.base import Store

_MARK = f"{hookspecs.PROJECT}_impl"
_BY_CODE = "(registered by code)"


class PluginManager:
    """The plugins of this process, each checked when it is registered; one typed method for each hook."""

    def __init__(self, *, disabled: Iterable[str] = ()) -> None:
        self._pluggy = pluggy.PluginManager(hookspecs.PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        self._specs = _specs()
        self._disabled = frozenset(disabled)
        self._infos: dict[str, PluginInfo] = {}
        self._classifiers: tuple[tuple[str, Callable[[RequestInfo], object]], ...] = ()

    @classmethod
    def load(cls, *, disabled: Iterable[str] = (), entry_points: Iterable[EntryPoint] | None = None) -> PluginManager:
        """Return a manager with every installed plugin, in order of entry-point names.

        Args:
            disabled: names of plugins that are not even imported.
            entry_points: instead of those installed in the group ``quiesce``.

        Raises:
            PluginError: a plugin cannot be imported, shares its name with another distribution's, or has a faulty hook.
        """
        manager = cls(disabled=disabled)
        candidates = discover(entry_points, disabled=manager._disabled)
        warn_of_unknown(manager._disabled, (candidate.name for candidate in candidates))
        for candidate in candidates:
            info = PluginInfo(
                name=candidate.name,
                distribution=candidate.distribution,
                version=candidate.version,
                module=candidate.entry_point.value,
                disabled=candidate.name in manager._disabled,
            )
            manager._add(info, candidate.load)
        return manager

    def register(self, plugin: object, name: str) -> None:
        """Add a plugin that no entry point names; its place among the others follows from the name.

        Raises:
            PluginError: the name is taken, or a hook is faulty; nothing was added.
        """
        module = (
            plugin.__name__ if inspect.ismodule(plugin) else f"{type(plugin).__module__}.{type(plugin).__qualname__}"
        )
        info = PluginInfo(name=name, distribution=None, version=None, module=module, disabled=name in self._disabled)
        self._add(info, lambda: plugin)

    @property
    def plugins(self) -> tuple[PluginInfo, ...]:
        """Every plugin, disabled ones included, in order of names."""
        return tuple(self._infos[name] for name in sorted(self._infos))

    @property
    def classifiers(self) -> tuple[tuple[str, Callable[[RequestInfo], object]], ...]:
        """Name and function of each plugin that classifies, in the order in which they are asked."""
        return self._classifiers

    def operation_types(self, *, known: Iterable[OperationType] = BUILTIN_OPERATIONS) -> tuple[OperationType, ...]:
        """Return the types that plugins declare and that are not among the known ones.

        Raises:
            PluginError: a plugin raises, answers something else, or defines a known type differently.
        """
        owners = {operation.name: (operation, "Quiesce or the settings") for operation in known}
        declared: list[OperationType] = []
        for plugin, call in self._calls("operation_types"):
            for operation in self._declared(plugin, call):
                first, owner = owners.setdefault(operation.name, (operation, f"plugin {plugin!r}"))
                if first is operation:
                    declared.append(operation)
                elif astuple(first) != astuple(operation):
                    problem = f"declares the type {operation.name!r}, which {owner} defines differently"
                    raise self._fault(plugin, problem)
        return tuple(declared)

    def on_activate(
        self, window: MaintenanceWindow, state: MaintenanceState, *, timeout_seconds: float
    ) -> tuple[HookResult, ...]:
        """Tell every plugin of a window that opened; never raises, ends soon after the timeout."""
        calls = self._calls("on_activate", window=window, state=state)
        return call_all(calls, hook="on_activate", timeout_seconds=timeout_seconds)

    def on_deactivate(
        self, window: MaintenanceWindow, state: MaintenanceState, *, timeout_seconds: float
    ) -> tuple[HookResult, ...]:
        """Tell every plugin of a window that is over; never raises, ends soon after the timeout."""
        calls = self._calls("on_deactivate", window=window, state=state)
        return call_all(calls, hook="on_deactivate", timeout_seconds=timeout_seconds)

    def implements(self, hook: str) -> tuple[str, ...]:
        """Return the names of the plugins that implement the hook."""
        return tuple(impl.plugin_name for impl in self._implementations(hook))

    def on_session_invalidate(
        self, invalidation: SessionInvalidation, *, timeout_seconds: float, only: str | None = None
    ) -> tuple[HookResult, ...]:
        """Tell every plugin, or only the one named, of sessions that are over; never raises, ends after the timeout."""
        calls = self._calls("on_session_invalidate", invalidation=invalidation)
        if only is not None:
            calls = [call for call in calls if call[0] == only]
        return call_all(calls, hook="on_session_invalidate", timeout_seconds=timeout_seconds)

    def notify(self, notice: Notice, *, settings: Settings, timeout_seconds: float, only: str) -> HookResult:
        """Have one plugin tell people, unless an earlier call of it hangs; never raises, ends after the timeout."""
        given = self._calls("notify", event=notice.event, notice=notice, settings=settings)
        calls = [call for call in given if call[0] == only]
        # A call that hangs may still deliver: beside another one it would turn the order round.
        return call_all(calls, hook="notify", timeout_seconds=timeout_seconds, most_left_behind=1)[0]

    def job_counts(self, *, timeout_seconds: float) -> tuple[HookResult, ...]:
        """Ask every plugin for its jobs, as ``answer`` of the results; never raises, ends soon after the timeout."""
        return call_all(self._calls("job_counts"), hook="job_counts", timeout_seconds=timeout_seconds)

    def hold_jobs(self, hold: JobHold, *, timeout_seconds: float) -> tuple[HookResult, ...]:
        """Have every plugin hold new work back, or let it go; never raises, ends soon after the timeout."""
        return call_all(self._calls("hold_jobs", hold=hold), hook="hold_jobs", timeout_seconds=timeout_seconds)

    def stop_jobs(self, request: JobStop, *, timeout_seconds: float) -> tuple[HookResult, ...]:
        """Have every plugin end what runs; records as ``answer``; never raises, ends soon after the timeout."""
        return call_all(self._calls("stop_jobs", request=request), hook="stop_jobs", timeout_seconds=timeout_seconds)

    def restore_jobs(self, ledger: Sequence[JobRecord], *, timeout_seconds: float) -> tuple[HookResult, ...]:
        """Have every plugin put jobs back; records as ``answer``; never raises, ends soon after the timeout."""
        calls = self._calls("restore_jobs", ledger=ledger)
        return call_all(calls, hook="restore_jobs", timeout_seconds=timeout_seconds)

    def open_store(self, url: str) -> Store | None:
        """Return the store of the first plugin that knows the address, or ``None``.

        Raises:
            QuiesceError: as the plugin raised it.
            PluginError: the plugin failed in another way.
        """
        for plugin, call in self._calls("open_store", url=url):
            try:
                store = call()
                wrong = discard_awaitable(store)
            except QuiesceError:
                raise
            except Exception as exc:  # a plugin is called here
                raise self._fault(plugin, f"open_store failed: {describe(exc)}") from exc
            if wrong is not None:
                raise self._fault(plugin, f"open_store {wrong}")
            if store is not None:
                return store  # type: ignore[return-value]  # the contract suite checks it, a protocol cannot
        return None

    def _add(self, info: PluginInfo, load: Callable[[], object]) -> None:
        distribution = info.distribution or _BY_CODE
        if info.name in self._infos:
            raise PluginError(info.name, distribution, "a plugin of this name is registered already")
        if not info.disabled:
            plugin = load()
            info = replace(info, hooks=self._checked(plugin, info.name, distribution))
            try:
                self._pluggy.register(plugin, name=info.name)
            except Exception as exc:  # pluggy reads every member of the plugin here
                raise PluginError(info.name, distribution, f"cannot be registered: {describe(exc)}") from exc
        self._infos[info.name] = info
        self._classifiers = tuple(
            (impl.plugin_name, impl.function if impl.argnames else partial(_call_without, impl.function))
            for impl in self._implementations("classify_operation")
        )

    def _checked(self, plugin: object, name: str, distribution: str) -> tuple[str, ...]:
        if inspect.isclass(plugin):
            raise PluginError(name, distribution, f"is the class {plugin.__qualname__}; name a module or an instance")
        hooks = []
        parse = partial(self._pluggy.parse_hookimpl_opts, plugin)
        for hook, problem in implementations_of(plugin, parse, mark=_MARK, specs=self._specs):
            if problem is not None:
                raise PluginError(name, distribution, problem)
            hooks.append(hook)
        return tuple(sorted(hooks))

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        caller: pluggy.HookCaller = getattr(self._pluggy.hook, hook)
        return sorted(caller.get_hookimpls(), key=lambda impl: (impl.trylast, not impl.tryfirst, impl.plugin_name))

    def _calls(self, hook: str, **arguments: object) -> list[tuple[str, Callable[[], object]]]:
        return [
            (impl.plugin_name, partial(impl.function, *(arguments[name] for name in impl.argnames)))
            for impl in self._implementations(hook)
        ]

    def _declared(self, plugin: str, call: Callable[[], object]) -> tuple[OperationType, ...]:
        try:
            answer = call()
            wrong = discard_awaitable(answer)
            types = tuple(answer) if isinstance(answer, Iterable) else ()
        except Exception as exc:  # a plugin is called here
            raise self._fault(plugin, f"operation_types failed: {describe(exc)}") from exc
        if wrong is None and answer is not None and not isinstance(answer, Iterable):
            wrong = f"returned a {type(answer).__name__}"
        strange = next((item for item in types if not isinstance(item, OperationType)), None)
        if wrong is not None or strange is not None:
            raise self._fault(plugin, f"operation_types {wrong or f'returned {strange!r:.80}'}, not operation types")
        return types

    def _fault(self, plugin: str, problem: str) -> PluginError:
        return PluginError(plugin, self._infos[plugin].distribution or _BY_CODE, problem)


def _call_without(function: Callable[[], object], request: RequestInfo) -> object:  # noqa: ARG001 -- pluggy lets a hook take fewer
    return function()


def _specs() -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(inspect.signature(spec).parameters)
        for name, spec in vars(hookspecs).items()
        if inspect.isfunction(spec) and hasattr(spec, f"{hookspecs.PROJECT}_spec")
    }
