"""Calling plugins: each isolated, each bounded in time, none able to do harm."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

from quiesce.model import (
    MaintenanceState,
    MaintenanceWindow,
    Mode,
    OperationType,
    PluginError,
    RequestInfo,
    StoreURLError,
)
from quiesce.plugins import HookResult, PluginManager, hookimpl

WINDOW = MaintenanceWindow(id="w1", mode=Mode.NORMAL, reason="r", owner="o", starts_at=datetime(2030, 1, 1, tzinfo=UTC))
STATE = MaintenanceState(1, (WINDOW,))
PAYMENTS = OperationType("payments", "Taking money")


def manager_with(**plugins: dict[str, Callable[..., Any]]) -> PluginManager:
    """A manager with plugins given as name → hook → function."""
    manager = PluginManager()
    for name, hooks in plugins.items():
        manager.register(SimpleNamespace(**{hook: hookimpl(function) for hook, function in hooks.items()}), name)
    return manager


def activate(manager: PluginManager, timeout_seconds: float = 5) -> dict[str, HookResult]:
    results = manager.on_activate(WINDOW, STATE, timeout_seconds=timeout_seconds)
    return {result.plugin: result for result in results}


async def _late(window: object = None) -> None:
    """What a lambda may return by mistake."""


def _returning_late() -> object:
    return _late()


class _EvilError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_every_plugin_is_told_of_a_window() -> None:
    """Both hooks reach everybody with the arguments that each asks for."""
    told: list[tuple[object, ...]] = []
    manager = manager_with(
        a={"on_activate": lambda window, state: told.append((window, state))},
        b={"on_activate": lambda state: told.append((state,)), "on_deactivate": lambda: told.append(())},
    )

    activated = activate(manager)
    deactivated = manager.on_deactivate(WINDOW, STATE, timeout_seconds=5)

    assert sorted(told, key=len) == [(), (STATE,), (WINDOW, STATE)]
    assert [(name, result.ok, result.error) for name, result in activated.items()] == [
        ("a", True, None),
        ("b", True, None),
    ]
    assert [result.plugin for result in deactivated] == ["b"]


def _fail(window: object) -> None:
    raise LookupError("first line\nsecond line" + "x" * 1000)


def _exit(window: object) -> None:
    raise SystemExit(3)


def _raise_evil(window: object) -> None:
    raise _EvilError


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (_fail, "LookupError"),
        (_exit, "SystemExit"),
        (_raise_evil, "_EvilError"),
        (lambda window: _late(), "returned a coroutine"),
        (lambda window: (item for item in [window]), "returned a generator"),
    ],
)
def test_failing_plugin_is_reported_and_harms_nobody(function: Callable[..., Any], said: str) -> None:
    """One notifier's fault must not keep another from telling people."""
    told: list[object] = []
    manager = manager_with(a={"on_activate": function}, b={"on_activate": lambda window: told.extend([window])})

    results = activate(manager)

    assert not results["a"].ok
    assert said in (results["a"].error or "")
    assert "\n" not in (results["a"].error or "")
    assert len(results["a"].error or "") < 400
    assert results["b"].ok
    assert told == [WINDOW]


def test_hanging_plugins_delay_nobody() -> None:
    """Three that hang cost one timeout, not three, and those that work are done long before."""
    release = threading.Event()
    done: dict[str, float] = {}
    started = monotonic()
    manager = manager_with(
        **{f"hang{n}": {"on_activate": lambda window: release.wait(30)} for n in range(3)},
        works={"on_activate": lambda window: done.setdefault("works", monotonic() - started)},
    )

    results = activate(manager, timeout_seconds=1)
    took = monotonic() - started
    release.set()

    assert 1 <= took < 2.9
    assert done["works"] < 0.9
    assert results["works"].ok
    assert results["works"].seconds < 0.9
    assert [results[f"hang{n}"].error for n in range(3)] == ["timed out after 1 s and was left behind"] * 3


def test_hanging_plugin_does_not_keep_the_process_alive() -> None:
    """A worker that is told to stop must stop."""
    release = threading.Event()
    found: list[bool] = []

    def hang(window: object) -> None:
        found.append(threading.current_thread().daemon)
        release.wait(30)

    activate(manager_with(a={"on_activate": hang}), timeout_seconds=0.2)
    release.set()

    assert found == [True]


def test_thread_that_cannot_start_is_a_failure_of_that_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine out of threads must still get its report."""
    manager = manager_with(a={"on_activate": lambda window: None})

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert "can't start new thread" in (activate(manager)["a"].error or "")


def test_nobody_to_tell_is_no_error() -> None:
    """Most applications have no plugin."""
    assert PluginManager().on_activate(WINDOW, STATE, timeout_seconds=1) == ()


def test_classifier_is_bound_once_and_may_take_nothing() -> None:
    """The data plane calls the plain function."""
    manager = manager_with(
        a={"classify_operation": lambda request: request.path}, b={"classify_operation": lambda: "x"}
    )

    assert [(name, function(RequestInfo("GET", "/p"))) for name, function in manager.classifiers] == [
        ("a", "/p"),
        ("b", "x"),
    ]
    assert manager.classifiers is manager.classifiers


def test_declared_types_are_gathered() -> None:
    """Any iterable will do, and saying the same twice is no clash."""
    same = OperationType("payments", "Taking money")
    manager = manager_with(
        a={"operation_types": lambda: [PAYMENTS]},
        b={"operation_types": lambda: iter((same, OperationType("other")))},
        c={"operation_types": lambda: None},
    )

    assert [operation.name for operation in manager.operation_types()] == ["payments", "other"]


def _refuse() -> None:
    raise LookupError("no types today")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: [OperationType("payments", "Something else")], "which plugin 'a' defines differently"),
        (lambda: [OperationType("read_operations", blocked_in=frozenset())], "which Quiesce or the settings defines"),
        (lambda: ["payments"], "not operation types"),
        (lambda: PAYMENTS, "not operation types"),
        (_returning_late, "not operation types"),
        (_refuse, "no types today"),
    ],
)
def test_faulty_declaration_is_an_error_that_names_the_plugin(answer: Callable[[], Any], said: str) -> None:
    """What is refused would otherwise depend on the order of plugins."""
    manager = manager_with(a={"operation_types": lambda: [PAYMENTS]}, b={"operation_types": answer})

    with pytest.raises(PluginError) as caught:
        manager.operation_types()

    assert caught.value.plugin == "b"
    assert said in caught.value.problem


def test_first_plugin_that_knows_a_store_opens_it() -> None:
    """The order is that of the names."""
    opened: list[str] = []
    store = object()
    manager = manager_with(
        c={"open_store": lambda url: opened.extend([url])},
        b={"open_store": lambda url: store},
        a={"open_store": lambda url: None},
    )

    assert manager.open_store("etcd://x") is store
    assert opened == []
    assert PluginManager().open_store("etcd://x") is None


def _refuse_url(url: str) -> None:
    raise StoreURLError("no host")


def _break(url: str) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("function", "error"),
    [(_refuse_url, StoreURLError), (_break, PluginError), (lambda url: _late(), PluginError)],
)
def test_store_that_does_not_open_is_an_error(function: Callable[[str], Any], error: type[Exception]) -> None:
    """Falling through to "unknown scheme" would hide the reason."""
    with pytest.raises(error):
        manager_with(a={"open_store": function}).open_store("etcd://x")


def test_registering_follows_the_same_rules() -> None:
    """Code-level plugins are held to what installed ones are held to, and a refused one leaves nothing behind."""
    manager = manager_with(b={"classify_operation": lambda request: None})

    with pytest.raises(PluginError, match="registered already"):
        manager.register(SimpleNamespace(), "b")
    with pytest.raises(PluginError, match="did you mean 'on_activate'"):
        manager.register(SimpleNamespace(on_activation=hookimpl(lambda: None)), "c")
    manager.register(SimpleNamespace(classify_operation=hookimpl(lambda request: None)), "a")

    assert [plugin.name for plugin in manager.plugins] == ["a", "b"]
    assert [name for name, _ in manager.classifiers] == ["a", "b"]


def test_name_that_is_disabled_stays_disabled() -> None:
    """The operator's word counts for plugins that code registers, too."""
    manager = PluginManager(disabled=["a"])
    manager.register(SimpleNamespace(classify_operation=hookimpl(lambda request: None)), "a")

    assert manager.classifiers == ()
    assert manager.plugins[0].disabled
