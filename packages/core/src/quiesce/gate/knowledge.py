"""One immutable generation of all that the classifier goes by, with its own cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..model import OperationType, RequestInfo, Rule
from .catalogue import OperationCatalogue
from .classification import Classification, ClassificationCache, strictest
from .guide_rules import GUIDE_RULES, SAFE_METHODS
from .opinions import Opinions
from .paths import is_clean, normalise, unmask
from .rulebook import Rulebook

Resolver = Callable[[str, str], OperationType | str | None]
"""Finds the ``@operation`` of the view behind (method, path), or ``None``; the path is as the framework sees it."""

_GUIDE = Rulebook(GUIDE_RULES)


class Knowledge:
    """Classifies by rules, resolvers and plugins that never change; a change makes another ``Knowledge``.

    A classification that is under way while something is added ends in the old cache, so it cannot outlive the change.
    """

    __slots__ = ("_opinions", "_origins", "_plugins", "_resolvers", "_rules", "cache", "catalogue")

    def __init__(
        self,
        catalogue: OperationCatalogue,
        *,
        rules: Iterable[tuple[Rule, str]],
        resolvers: Iterable[Resolver],
        plugins: Iterable[tuple[str, Callable[[RequestInfo], object]]],
        opinions: Opinions,
    ) -> None:
        self.catalogue = catalogue
        self.cache = ClassificationCache()
        rules = tuple(rules)
        self._rules = Rulebook(rule for rule, _ in rules)
        self._origins = {id(rule): origin for rule, origin in rules}
        self._resolvers = tuple((f"resolver {_name_of(resolver)}", resolver) for resolver in resolvers)
        self._plugins = tuple((f"plugin {name!r}", function) for name, function in plugins)
        self._opinions = opinions

    def classify(self, method: str, path: str) -> Classification:
        """Return the type of a request by a method in capitals, on any path.

        A path that servers read differently is judged in each reading, and the strictest answer holds.
        """
        if is_clean(path):
            return self._read(method, normalise(path), path, slashed=path.endswith("/"))
        literal = path if path.startswith("/") else "/" + path
        unmasked = unmask(path)
        spellings = dict.fromkeys((path, unmasked))
        readings = dict.fromkeys([*((normalise(one), one.endswith("/")) for one in spellings), (literal, False)])
        return strictest([self._read(method, reading, path, slashed=slashed) for reading, slashed in readings])

    def _read(self, method: str, path: str, original: str, *, slashed: bool) -> Classification:
        rule = self._rules.match(method, path, slashed=slashed)
        if rule is not None:
            operation = self.catalogue.by_name[rule.operation]
            return Classification(operation, f"{rule.kind} rule {rule.pattern!r} from {self._origins[id(rule)]}")
        opinion = self._ask_resolvers(method, original) or self._ask_plugins(RequestInfo(method, path))
        if opinion is not None:
            return opinion
        rule = _GUIDE.match(method, path, slashed=slashed)
        if rule is not None:
            return Classification(self.catalogue.by_name[rule.operation], f"guide's endpoint {rule.pattern!r}")
        if method in SAFE_METHODS:
            return Classification(OperationType.READ_OPERATIONS, f"method {method} reads", is_fallback=True)
        return Classification(
            OperationType.USER_DATA_MODIFICATION, f"method {method!r:.40} may write", is_fallback=True
        )

    def _ask_resolvers(self, method: str, path: str) -> Classification | None:
        for source, resolver in self._resolvers:
            operation = self._opinions.ask(source, resolver, (method, path), self.catalogue)
            if operation is not None:
                return Classification(operation, "@operation on the view")
        return None

    def _ask_plugins(self, request: RequestInfo) -> Classification | None:
        for source, function in self._plugins:
            operation = self._opinions.ask(source, function, (request,), self.catalogue)
            if operation is not None:
                return Classification(operation, source)
        return None


def _name_of(function: object) -> str:
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__qualname__)}"
