"""The contract suite for classifier plugins."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from time import perf_counter

from ..gate import MaintenanceOperationClassifier
from ..model import Mode, OperationType, RequestInfo
from ..plugins import PluginManager

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET", "PROPFIND")
_PIECES = (
    "/",
    "..",
    ".",
    "//",
    "%2e%2e",
    "%2f",
    "\\",
    "\0",
    "\n",
    "\ud800",
    "\u0130",
    "\u017f",
    " ",
    "*",
    "(",
    "%",
    "a",
    "0",
)
_HOSTILE_PATHS = 200
_LONG = 8192


class ClassifierContract:
    """What every ``classify_operation`` must do; subclass it as ``Test…`` and fill in the tables.

    Attributes:
        plugin: the module, or the object, that carries the hooks.
        reads: (method, path) of requests that it calls READ_OPERATIONS.
        writes: (method, path) of requests to which it gives a type that a normal window refuses.
        expected: (method, path, name) of requests and the types that it gives them.
        foreign: (method, path) of requests on which it has no opinion.
        slowest_seconds: how long it may take on a path of 8 kB.
    """

    plugin: object
    reads: Sequence[tuple[str, str]] = ()
    writes: Sequence[tuple[str, str]] = ()
    expected: Sequence[tuple[str, str, str]] = ()
    foreign: Sequence[tuple[str, str]] = (("GET", "/"), ("POST", "/quiesce-contract/no-such-path"))
    slowest_seconds: float = 0.001

    def test_some_table_is_filled_in(self) -> None:
        """A suite without a single request would prove nothing."""
        _must(bool(self.reads or self.writes or self.expected), "fill in reads, writes or expected")

    def test_reads_are_read_operations(self) -> None:
        """A read that counts as a write is refused in normal maintenance for no reason."""
        for method, path in self.reads:
            self._must_answer(method, path, OperationType.READ_OPERATIONS.name)

    def test_writes_are_refused_in_normal_maintenance(self) -> None:
        """A write that slips through changes what the operator took for quiet."""
        for method, path in self.writes:
            answer = self._asked(method, path)
            _must(answer is not None, f"{method} {path}: no opinion on a write of its own")
            if answer is not None:
                _must(Mode.NORMAL in answer.blocked_in, f"{method} {path}: {answer} is not refused in a normal window")

    def test_expected_types_are_given(self) -> None:
        """The table is the author's own word on what the plugin does."""
        for method, path, name in self.expected:
            self._must_answer(method, path, name)

    def test_foreign_paths_are_left_to_others(self) -> None:
        """An opinion on everything hides the guide's endpoints and every plugin that comes later."""
        for method, path in self.foreign:
            answer = self._asked(method, path)
            _must(answer is None, f"{method} {path}: answers {answer} on a path that is not its own")

    def test_classifier_follows_the_plugin(self) -> None:
        """The answers count only if the real classifier takes them over."""
        for method, path in self._known():
            answer, found = self._asked(method, path), self._classifier.classify(method, path)
            _must(answer == found.operation, f"{method} {path}: the classifier says {found.operation} ({found.rule})")

    def test_same_request_gets_same_answer(self) -> None:
        """Answers are cached, so a plugin that changes its mind is not heard."""
        forth = [self._asked(method, path) for method, path in self._known()]
        back = [self._asked(method, path) for method, path in reversed(self._known())]
        _must(forth == back[::-1], "the answers depend on the order in which requests come")

    def test_long_path_is_answered_fast(self) -> None:
        """A client chooses the path; it must not choose how long the server thinks about it."""
        for method, path in [*self._known(), ("POST", "/")]:
            for filler in ("a", "/", "/a", "..", "%2e", "A0"):
                long = (path + filler * _LONG)[:_LONG]
                seconds = min(self._timed(method, long) for _ in range(5))
                _must(seconds < self.slowest_seconds, f"{long[:40]!r}…: took {seconds:.4f} s on {_LONG} characters")

    def test_hostile_path_does_no_harm(self) -> None:
        """Any text can come as a path: no error, no unknown type, no change of mind; also below its own paths."""
        owns = ["", *dict.fromkeys(path for _, path in self._known())]
        for number, hostile in enumerate(_hostile_paths()):
            self._must_be_stable(_METHODS[number % len(_METHODS)], owns[number % len(owns)] + hostile)

    def _must_be_stable(self, method: str, path: str) -> None:
        answer = self._asked(method, path)
        _must(answer == self._asked(method, path), f"{method} {path!r}: two answers to one request")

    def _must_answer(self, method: str, path: str, name: str) -> None:
        answer = self._asked(method, path)
        _must(answer is not None and answer.name == name, f"{method} {path}: answers {answer}, expected {name}")

    @cached_property
    def _manager(self) -> PluginManager:
        manager = PluginManager()
        manager.register(self.plugin, "under-test")
        return manager

    @cached_property
    def _classifier(self) -> MaintenanceOperationClassifier:
        return MaintenanceOperationClassifier(plugins=self._manager)

    @cached_property
    def _function(self) -> Callable[[RequestInfo], object]:
        _must(len(self._manager.classifiers) == 1, "the plugin does not implement classify_operation")
        return self._manager.classifiers[0][1]

    def _asked(self, method: str, path: str) -> OperationType | None:
        answer = self._function(RequestInfo(method, path))
        if inspect.iscoroutine(answer):
            answer.close()
        if answer is None:
            return None
        if not isinstance(answer, (str, OperationType)):
            fault = f"{method} {path!r}: answers a {type(answer).__name__}, no operation type"
            raise AssertionError(fault)  # noqa: TRY004 -- a broken promise, as every other here
        return self._classifier.operation(answer)

    def _timed(self, method: str, path: str) -> float:
        request = RequestInfo(method, path)
        started = perf_counter()
        self._function(request)
        return perf_counter() - started

    def _known(self) -> list[tuple[str, str]]:
        return [*self.reads, *self.writes, *((method, path) for method, path, _ in self.expected)]


def _must(condition: bool, message: str) -> None:  # noqa: FBT001 -- reads as a sentence
    if not condition:
        raise AssertionError(message)


def _hostile_paths() -> Iterator[str]:
    # Seeded, so that a failure comes back when it is looked for.
    chance = random.Random(20)  # noqa: S311 -- no secret is made here
    for _ in range(_HOSTILE_PATHS):
        pieces = chance.choices(_PIECES, k=chance.randrange(20))
        letters = (chr(chance.randrange(0x110000)) for _ in range(chance.randrange(4)))
        yield "/" + "".join((*pieces, *letters))
    yield "/"
    yield "/" + "\ud800" * 100
