"""Finds and reads the settings file: ``[tool.quiesce]`` of a TOML file, its rules and its operation types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .model import BUILTIN_OPERATIONS, InvalidValueError, Mode, OperationType, Rule
from .spelling import nearest

_RULE_KEYS = ("pattern", "operation", "kind", "methods")
_OPERATION_KEYS = ("description", "message", "blocked_in")
_NEARBY = ("quiesce.toml", "pyproject.toml")


def read_table(path: Path | None, faults: list[str]) -> Mapping[str, Any]:
    """Return ``[tool.quiesce]`` of the file, or of the first file in the working folder that has it; faults are added.

    Args:
        path: the file that was named; ``None``: none was, ``quiesce.toml`` and ``pyproject.toml`` are looked for.
        faults: where problems go, in words.
    """
    if path is not None:
        table = _table_of(path, faults)
        if table is None and not faults:
            faults.append(f"{path}: has no table [tool.quiesce]")
        return table or {}
    for name in _NEARBY:
        table = _table_of(Path(name), faults, may_be_missing=True)
        if table is not None:
            return table
    return {}


def read_rules(raw: object, faults: list[str]) -> tuple[Rule, ...]:
    """Return the rules of ``[[tool.quiesce.rules]]``; faults are added."""
    if not isinstance(raw, list):
        faults.append("rules: expected tables [[tool.quiesce.rules]]")
        return ()
    rules: list[Rule] = []
    for number, item in enumerate(raw, 1):
        where = f"rules, number {number}"
        if not isinstance(item, dict):
            faults.append(f"{where}: expected a table with pattern and operation")
        elif not _has_strange_keys(where, item, _RULE_KEYS, faults):
            try:
                rules.append(_rule(item))
            except InvalidValueError as exc:
                faults.append(f"{where}: {exc}")
    return tuple(rules)


def read_operations(raw: object, faults: list[str]) -> tuple[OperationType, ...]:
    """Return the types of ``[tool.quiesce.operations.NAME]``; faults are added."""
    if not isinstance(raw, dict):
        faults.append("operations: expected tables [tool.quiesce.operations.NAME]")
        return ()
    builtin = {operation.name for operation in BUILTIN_OPERATIONS}
    operations: list[OperationType] = []
    for name, item in raw.items():
        where = f"operations.{name:.80}"
        if not isinstance(item, dict):
            faults.append(f"{where}: expected a table with any of {', '.join(_OPERATION_KEYS)}")
        elif name in builtin:
            faults.append(f"{where}: is a built-in type and cannot be defined anew")
        elif not _has_strange_keys(where, item, _OPERATION_KEYS, faults):
            try:
                operations.append(_operation(name, item))
            except InvalidValueError as exc:
                faults.append(f"{where}: {exc}")
    return tuple(operations)


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return the fault of an unknown key, with the known one that it resembles."""
    known = tuple(known)
    near = nearest(key.upper(), known) or nearest(key, known)
    return f"{key:.80}: is no setting" + ("" if near is None else f"; did you mean {near}?")


def _table_of(path: Path, faults: list[str], *, may_be_missing: bool = False) -> Mapping[str, Any] | None:
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as exc:
        if not (may_be_missing and isinstance(exc, FileNotFoundError)):
            faults.append(f"{path}: cannot be read: {getattr(exc, 'strerror', None) or exc}")
        return None
    import tomllib  # noqa: PLC0415 - most processes are configured by their environment

    try:
        document = tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as exc:
        # A broken pyproject.toml that is not about us is somebody else's to report.
        if b"tool.quiesce" in data or path.name != "pyproject.toml":
            faults.append(f"{path}: is no valid TOML: {exc}")
        return None
    tool = document.get("tool", {})
    if not isinstance(tool, dict) or "quiesce" not in tool:
        return None
    table = tool["quiesce"]
    if not isinstance(table, dict):
        faults.append(f"{path}: tool.quiesce is no table")
        return None
    return table


def _rule(item: Mapping[str, Any]) -> Rule:
    for key in ("pattern", "operation"):
        if key not in item:
            raise InvalidValueError(key, "is missing")
    return Rule(**item)


def _operation(name: str, item: Mapping[str, Any]) -> OperationType:
    for key in ("description", "message"):
        if not isinstance(item.get(key, ""), str):
            raise InvalidValueError(key, f"{item[key]!r:.80} is no text")
    fields: dict[str, Any] = dict(item)
    if "blocked_in" in item:
        fields["blocked_in"] = _modes(item["blocked_in"])
    return OperationType(name, **fields)


def _modes(raw: object) -> frozenset[Mode]:
    expected = (Mode.NORMAL, Mode.EMERGENCY)
    if not isinstance(raw, list) or any(mode not in expected for mode in raw):
        raise InvalidValueError("blocked_in", f"{raw!r:.80} is no list of {' and '.join(expected)}")
    return frozenset(Mode(mode) for mode in raw)


def _has_strange_keys(where: str, item: Mapping[str, Any], known: tuple[str, ...], faults: list[str]) -> bool:
    strange = [key for key in item if key not in known]
    faults += [f"{where}: {unknown_key(key, known)}" for key in strange]
    return bool(strange)
