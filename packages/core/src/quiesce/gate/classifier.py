"""Says which type of operation a request is, and why."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

from ..model import BUILTIN_OPERATIONS, OperationType, Rule, RuleKind
from ..plugins import PluginManager
from .catalogue import OperationCatalogue
from .classification import Classification
from .knowledge import Knowledge, Resolver
from .opinions import Opinions

__all__ = ["Classification", "MaintenanceOperationClassifier", "Resolver"]


class MaintenanceOperationClassifier:
    """Maps a method and a path to a type of operation.

    Asked in this order, the first opinion counts: the rules given to the constructor (the operator's, from the
    settings), rules that code added, in the order in which it did, resolvers (``@operation`` on a view), plugins, the
    guide's endpoints, the method.

    Args:
        rules: the operator's rules.
        plugins: whose ``classify_operation`` is asked and whose types are known.
        operations: types beside the built-in ones.

    Raises:
        InvalidValueError: a rule names an unknown type, or a type is defined in two ways.
        PluginError: a plugin defines a type that another has defined differently.
    """

    def __init__(
        self,
        *,
        rules: Iterable[Rule] = (),
        plugins: PluginManager | None = None,
        operations: Iterable[OperationType] = (),
    ) -> None:
        catalogue = OperationCatalogue((*BUILTIN_OPERATIONS, *operations))
        if plugins is not None:
            catalogue = OperationCatalogue(
                (*catalogue.by_name.values(), *plugins.operation_types(known=catalogue.by_name.values()))
            )
        self.on_change: Callable[[], None] | None = None
        """Called after something was added; a gate forgets its decisions then."""
        self._opinions = Opinions()
        self._plugins = () if plugins is None else plugins.classifiers
        self._lock = threading.Lock()
        self._rules = tuple((rule, "settings") for rule in rules)
        self._resolvers: tuple[Resolver, ...] = ()
        for rule, _ in self._rules:
            catalogue.find(rule.operation)
        self._knowledge = self._ready(catalogue)

    @property
    def operations(self) -> Mapping[str, OperationType]:
        """Every known type by name: built-in, given, and the plugins'; read-only."""
        return self._knowledge.catalogue.by_name

    def operation(self, name_or_type: str | OperationType) -> OperationType:
        """Return the known type of this name.

        Raises:
            InvalidValueError: there is none; the message names the known ones.
        """
        return self._knowledge.catalogue.find(name_or_type)

    def add_custom_classification(
        self,
        pattern: str,
        operation_type: OperationType | str,
        *,
        kind: RuleKind = "regex",
        methods: Iterable[str] | None = None,
    ) -> None:
        """Add a rule after those that are there; holds from the next request on.

        Args:
            pattern: matched from the start of the path, whatever its letter case; see ``Rule``.
            operation_type: its type; one that is not known yet becomes known.
            kind: ``regex``, ``glob`` or ``prefix``.
            methods: the methods that it is about; ``None``: all.

        Raises:
            InvalidValueError: the pattern, a method or the type is not valid; nothing was added.
        """
        name = operation_type.name if isinstance(operation_type, OperationType) else operation_type
        if isinstance(methods, str):
            methods = (methods,)
        rule = Rule(pattern, name, kind, None if methods is None else frozenset(methods))
        with self._lock:
            catalogue = self._knowledge.catalogue
            if isinstance(operation_type, OperationType):
                catalogue = catalogue.with_operation(operation_type)
            catalogue.find(name)
            self._rules = (*self._rules, (rule, "code"))
            self._learn(catalogue)

    def add_resolver(self, resolver: Resolver) -> None:
        """Ask this as well, after the rules and the resolvers that are there."""
        with self._lock:
            self._resolvers = (*self._resolvers, resolver)
            self._learn(self._knowledge.catalogue)

    def classify(self, method: str, path: str) -> Classification:
        """Return the type of a request; never raises, whatever the path.

        Args:
            method: the HTTP method, or ``WEBSOCKET``.
            path: decoded once, without the mount prefix and the query; need not be normalised.
        """
        knowledge = self._knowledge
        key = (method, path)
        found = knowledge.cache.get(key)
        if found is None:
            found = knowledge.classify(method.upper(), path)
            knowledge.cache.put(key, found)
        return found

    def _learn(self, catalogue: OperationCatalogue) -> None:
        self._knowledge = self._ready(catalogue)
        if self.on_change is not None:
            self.on_change()

    def _ready(self, catalogue: OperationCatalogue) -> Knowledge:
        return Knowledge(
            catalogue,
            rules=self._rules,
            resolvers=self._resolvers,
            plugins=self._plugins,
            opinions=self._opinions,
        )
