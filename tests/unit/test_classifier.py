"""The classifier: whose word counts, and that no spelling of a path gets around it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.gate.classifier import MaintenanceOperationClassifier
from quiesce.model import InvalidValueError, Mode, OperationType, PluginError, RequestInfo, Rule
from quiesce.plugins import PluginManager, hookimpl

PAYMENTS = OperationType("payments", "Taking money", "Payments are paused.")


class Opinion:
    """A plugin made of one function."""

    def __init__(self, answer: Callable[[RequestInfo], Any]) -> None:
        self._answer = answer

    @hookimpl
    def classify_operation(self, request: RequestInfo) -> Any:
        return self._answer(request)


def classifier_with(*answers: Callable[[RequestInfo], Any], **given: Any) -> MaintenanceOperationClassifier:
    manager = PluginManager()
    for number, answer in enumerate(answers):
        manager.register(Opinion(answer), f"p{number}")
    return MaintenanceOperationClassifier(plugins=manager, **given)


def kind_of(classifier: MaintenanceOperationClassifier, method: str, path: str) -> str:
    return classifier.classify(method, path).operation.name


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/start_caption_generation", "caption_generation"),
        ("GET", "/api/caption/7", "caption_generation"),
        ("GET", "/api/jobs", "job_creation"),
        ("POST", "/api/jobs/7", "job_creation"),
        ("POST", "/jobs/7/retry", "job_creation"),
        ("GET", "/jobs", "read_operations"),
        ("GET", "/switch_platform/3", "platform_operations"),
        ("POST", "/test_connection", "platform_operations"),
        ("POST", "/platforms/3", "platform_operations"),
        ("GET", "/platforms", "read_operations"),
        ("GET", "/batch/7", "batch_operations"),
        ("GET", "/batchelor", "read_operations"),
        ("POST", "/bulk/delete", "batch_operations"),
        ("GET", "/profile", "read_operations"),
        ("POST", "/profile", "user_data_modification"),
        ("GET", "/settings", "read_operations"),
        ("PUT", "/settings/theme", "user_data_modification"),
        ("POST", "/change_password", "user_data_modification"),
        ("POST", "/upload", "image_processing"),
        ("POST", "/images/7/optimize", "image_processing"),
        ("GET", "/images/7", "read_operations"),
        ("POST", "/admin/users", "admin_operations"),
        ("GET", "/admin", "admin_operations"),
        ("POST", "/administrators", "user_data_modification"),
        ("POST", "/login", "authentication"),
        ("POST", "/auth/jwt/login", "authentication"),
        ("POST", "/oauth2/token", "authentication"),
        ("POST", "/token", "user_data_modification"),
        ("POST", "/oauth2/tokens", "user_data_modification"),
        ("GET", "/logout", "authentication"),
        ("POST", "/admin/login", "authentication"),
        ("POST", "/api/v1/auth/sign-in", "authentication"),
        ("POST", "/auth/register", "user_data_modification"),
        ("GET", "/docs", "read_operations"),
        ("HEAD", "/docs", "read_operations"),
        ("OPTIONS", "/docs", "read_operations"),
        ("TRACE", "/docs", "read_operations"),
        ("POST", "/docs", "user_data_modification"),
        ("PROPFIND", "/docs", "user_data_modification"),
        ("WEBSOCKET", "/docs", "user_data_modification"),
        ("post", "/api/jobs", "job_creation"),
        ("get", "/docs", "read_operations"),
        ("", "/docs", "user_data_modification"),
    ],
)
def test_guide_and_method_decide_without_rules(method: str, path: str, expected: str) -> None:
    """The guide's table holds for an application that configures nothing."""
    assert kind_of(MaintenanceOperationClassifier(), method, path) == expected


def test_guides_example_works_as_written() -> None:
    """Administrators copy it from the guide."""
    classifier = MaintenanceOperationClassifier()
    classifier.add_custom_classification(pattern=r"/api/custom/.*", operation_type=OperationType.CUSTOM_OPERATION)

    assert kind_of(classifier, "GET", "/api/custom/x") == "custom_operation"
    assert kind_of(classifier, "GET", "/api/custom/") == "custom_operation"
    assert kind_of(classifier, "GET", "/api/custom%2f") == "custom_operation"
    assert kind_of(classifier, "GET", "/api/customs") == "read_operations"


def test_first_opinion_counts_in_the_documented_order() -> None:
    """Operator over code, code over plugins, plugins over the guide: who knows more goes first."""
    classifier = classifier_with(lambda _: "batch_operations", rules=[Rule("/operator", "read_operations")])
    classifier.add_resolver(lambda _, path: "image_processing" if "marked" in path else None)
    classifier.add_custom_classification("/operator", "job_creation")
    classifier.add_custom_classification("/code", "job_creation", kind="prefix")
    classifier.add_custom_classification("/code", "platform_operations", kind="prefix")

    said = {path: classifier.classify("POST", path) for path in ("/operator", "/code/marked", "/marked", "/api/jobs")}

    assert [(found.operation.name, found.rule) for found in said.values()] == [
        ("read_operations", "regex rule '/operator' from settings"),
        ("job_creation", "prefix rule '/code' from code"),
        ("image_processing", "@operation on the view"),
        ("batch_operations", "plugin 'p0'"),
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/x/../api/jobs",
        "//api/jobs",
        "/API/jobs",
        "/api//jobs",
        "/api/./jobs",
        "/api/jobs/",
        "/api\\jobs",
        "/api/%6aobs/../../%2e%2e/api/jobs",
        "/x/%2e%2e/api/jobs",
        "/x/%252e%252e/api/jobs",
        "/api%2fjobs",
        "/api/jo\0bs",
        "/api/jobs%00",
        "api/jobs",
        "/static/../api/jobs",
        "/login/../api/jobs",
        "/admin/../api/jobs",
    ],
)
def test_no_spelling_leaves_a_blocked_type(path: str) -> None:
    """A client chooses the spelling; the operator chose what is blocked."""
    found = MaintenanceOperationClassifier().classify("GET", path)

    assert found.operation == OperationType.JOB_CREATION


@pytest.mark.parametrize("target", ["/admin", "/login", "/public"])
@pytest.mark.parametrize(
    "path", ["/transfer/..{0}", "{0}/../transfer", "//x/../{0}/%2e%2e/transfer", "/transfer/%2e%2e{0}"]
)
def test_no_spelling_enters_an_allowed_type(target: str, path: str) -> None:
    """A server that reads the path otherwise would run a write that was waved through as something harmless."""
    classifier = MaintenanceOperationClassifier(rules=[Rule("/public", "read_operations", "prefix")])

    assert Mode.NORMAL in classifier.classify("POST", path.format(target)).operation.blocked_in


@given(
    st.lists(
        st.sampled_from(["/", "..", ".", "a", "api", "jobs", "admin", "login", "%2e%2e", "%2f", "\\", "\0"]), max_size=9
    )
)
def test_hostile_reading_is_never_judged_more_mildly_than_the_plain_one(pieces: list[str]) -> None:
    """Whatever a path resolves to, the answer is at least as strict as for the path it resolves to."""
    classifier = MaintenanceOperationClassifier()
    path = "/" + "".join(pieces)
    from quiesce.gate.paths import normalise

    hostile, plain = (
        classifier.classify("POST", spelling).operation.blocked_in for spelling in (path, normalise(path))
    )

    assert hostile >= plain


def test_other_readings_are_told() -> None:
    """A window that names its own types must be able to refuse either reading."""
    classifier = MaintenanceOperationClassifier()

    found = classifier.classify("POST", "/batch/../api/jobs")

    assert {found.operation.name, *(operation.name for operation in found.also)} == {"job_creation", "batch_operations"}
    assert classifier.classify("POST", "/batch/x").also == ()


@given(st.text(), st.text(max_size=12))
def test_anything_can_be_classified(path: str, method: str) -> None:
    """The data plane has no place for an error."""
    found = MaintenanceOperationClassifier().classify(method, path)

    assert isinstance(found.operation, OperationType)
    assert found.rule


@pytest.mark.parametrize("piece", ["a", "/", "/..", "%2e", "%252f", "\\", "\0", "\ud800", "/a/../", "İ"])
def test_long_path_costs_little(piece: str) -> None:
    """8 kB of anything: no lever for a client. The best of some runs, as others share the machine."""
    classifier = MaintenanceOperationClassifier()
    path = ("/" + piece * 8192)[:8192]

    def cost() -> float:
        started = time.perf_counter()
        classifier.classify("POST", path)
        return time.perf_counter() - started

    assert min(cost() for _ in range(20)) < 0.003


async def _late() -> str:
    return "read_operations"


def _raise(_: RequestInfo) -> str:
    raise LookupError("no idea")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (_raise, "raised LookupError"),
        (lambda _: _late(), "answers a coroutine"),
        (lambda _: 42, "answers a int"),
        (lambda _: True, "answers a bool"),
        (lambda _: "reads", "not declared"),
        (lambda _: "Read_Operations", "not declared"),
        (lambda _: OperationType("brand_new", blocked_in=frozenset()), "not declared"),
        (lambda _: object(), "answers a object"),
    ],
)
def test_useless_answer_is_no_opinion(
    answer: Callable[[RequestInfo], Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A broken plugin must not open anything, nor fill the disk with its complaints."""
    classifier = classifier_with(answer)

    kinds = [kind_of(classifier, "POST", f"/x/{number}") for number in range(50)]

    assert set(kinds) == {"user_data_modification"}
    assert [record for record in caplog.records if "plugin 'p0'" in record.getMessage() and said in record.getMessage()]
    assert len(caplog.records) == 1


def test_next_plugin_is_asked_when_one_fails() -> None:
    """One plugin's fault is not another's."""
    classifier = classifier_with(_raise, lambda _: None, lambda _: "batch_operations")

    assert classifier.classify("GET", "/x").rule == "plugin 'p2'"


def test_plugin_cannot_redefine_a_type_by_its_answer() -> None:
    """Types are equal by name; the definition that counts is the declared one."""
    lie = OperationType("user_data_modification", blocked_in=frozenset())

    assert classifier_with(lambda _: lie).classify("POST", "/x").operation.blocked_in == {Mode.NORMAL, Mode.EMERGENCY}


def test_slow_plugin_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """It holds up the event loop, and nothing else would show whose fault that is."""

    def dawdle(_: RequestInfo) -> None:
        ends = time.perf_counter() + 0.11
        while time.perf_counter() < ends:
            pass

    classifier_with(dawdle).classify("GET", "/x")

    assert "plugin 'p0' is slow to classify" in caplog.text


def test_log_cannot_be_forged_by_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """The message of one record is one line, whatever the plugin answers."""
    classifier_with(lambda _: "x\n[MAINTENANCE] all is well").classify("GET", "/x")

    assert all("\n" not in record.getMessage() for record in caplog.records)


def test_resolver_is_asked_for_the_path_as_it_came() -> None:
    """It asks the framework's router, which knows nothing of normal forms."""
    asked: list[tuple[str, str]] = []
    classifier = MaintenanceOperationClassifier()

    def resolve(method: str, path: str) -> None:
        asked.append((method, path))

    classifier.add_resolver(resolve)
    classifier.classify("post", "/Items/7/")

    assert asked == [("POST", "/Items/7/")]


def test_resolver_that_fails_is_no_opinion(caplog: pytest.LogCaptureFixture) -> None:
    """A router that stumbles over a hostile path must not answer the request with an error."""
    classifier = MaintenanceOperationClassifier()
    views: dict[str, str] = {}
    classifier.add_resolver(lambda _, path: views[path])

    assert kind_of(classifier, "POST", "/x") == "user_data_modification"
    assert "resolver" in caplog.text


def test_answer_is_remembered_until_something_is_added() -> None:
    """Plugins are asked once for each path, and a new rule holds from the next request on."""
    asked: list[str] = []
    classifier = classifier_with(lambda request: asked.append(request.path))
    for _ in range(3):
        classifier.classify("GET", "/x")
    assert asked == ["/x"]

    classifier.add_custom_classification("/x", PAYMENTS, kind="prefix")

    assert kind_of(classifier, "GET", "/x") == "payments"


def test_classification_under_way_cannot_outlive_a_new_rule() -> None:
    """The answer that was found by the old rules must not be remembered under the new ones."""
    asked, added = threading.Event(), threading.Event()

    def wait(request: RequestInfo) -> None:
        if request.path == "/x":
            asked.set()
            added.wait(10)

    classifier = classifier_with(wait)
    thread = threading.Thread(target=classifier.classify, args=("POST", "/x"))
    thread.start()
    assert asked.wait(10)

    classifier.add_custom_classification("/x", "read_operations")
    added.set()
    thread.join(10)

    assert kind_of(classifier, "POST", "/x") == "read_operations"


def test_flood_of_paths_stays_bounded() -> None:
    """A scanner must not grow the process; and what everybody asks for stays remembered meanwhile."""
    asked: list[str] = []
    classifier = classifier_with(lambda request: asked.append(request.path))
    for number in range(10_000):
        classifier.classify("GET", f"/flood/{number}")
        classifier.classify("GET", "/popular")
    classifier.classify("GET", "/" + "x" * 600)
    classifier.classify("GET", "/" + "x" * 600)

    cache = classifier._knowledge.cache
    assert len(cache) <= 2048
    assert asked.count("/popular") == 1
    assert asked.count("/" + "x" * 600) == 2


def test_many_threads_agree() -> None:
    """The cache is read without a lock."""
    classifier = MaintenanceOperationClassifier()
    wrong: list[str] = []

    def ask() -> None:
        for number in range(3000):
            path, expected = (
                (f"/api/jobs/{number}", "job_creation") if number % 2 else (f"/{number}", "read_operations")
            )
            if kind_of(classifier, "GET", path) != expected:
                wrong.append(path)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_known_types_are_listed_and_found() -> None:
    """The CLI and the API check names against this."""
    declared = OperationType("declared")
    manager = PluginManager()
    manager.register(SimpleNamespace(operation_types=hookimpl(lambda: [declared])), "declares")
    classifier = MaintenanceOperationClassifier(plugins=manager, operations=[PAYMENTS])

    assert {"read_operations", "payments", "declared"} <= set(classifier.operations)
    assert classifier.operation("payments") is PAYMENTS
    assert classifier.operation(OperationType("declared")) is declared
    with pytest.raises(InvalidValueError, match=r"did you mean 'payments'.*known: caption_generation"):
        classifier.operation("payment")
    with pytest.raises(TypeError):
        classifier.operations["x"] = PAYMENTS  # type: ignore[index]  # that it fails is the point


def test_one_name_has_one_definition() -> None:
    """Two definitions would make what is refused depend on who is asked."""
    other = OperationType("payments", blocked_in=frozenset())
    manager = PluginManager()
    manager.register(SimpleNamespace(operation_types=hookimpl(lambda: [other])), "declares")

    with pytest.raises(PluginError, match=r"'declares'.*'payments'"):
        MaintenanceOperationClassifier(plugins=manager, operations=[PAYMENTS])
    with pytest.raises(InvalidValueError, match="defined in two ways"):
        MaintenanceOperationClassifier(operations=[PAYMENTS, other])
    with pytest.raises(InvalidValueError, match="defined in two ways"):
        MaintenanceOperationClassifier(operations=[PAYMENTS]).add_custom_classification("/x", other)


def test_rule_of_unknown_type_is_refused() -> None:
    """It would protect nothing."""
    with pytest.raises(InvalidValueError, match="did you mean 'job_creation'"):
        MaintenanceOperationClassifier(rules=[Rule("/x", "job_creations")])
    classifier = MaintenanceOperationClassifier()
    with pytest.raises(InvalidValueError):
        classifier.add_custom_classification("/x", "job_creations")
    with pytest.raises(InvalidValueError):
        classifier.add_custom_classification("/x", "job_creation", methods=[])
    assert kind_of(classifier, "POST", "/x") == "user_data_modification"


def test_method_may_be_written_as_one_word() -> None:
    """``methods="POST"`` means that method, not the letters of the word."""
    classifier = MaintenanceOperationClassifier()
    classifier.add_custom_classification("/x", "job_creation", methods="POST")

    assert kind_of(classifier, "POST", "/x") == "job_creation"
    assert kind_of(classifier, "GET", "/x") == "read_operations"


def test_thousand_rules_cost_little() -> None:
    """Cost must not grow with the operator's diligence; the best of some runs, as others share the machine."""
    kinds = ("prefix", "glob", "regex")
    rules = [Rule(f"/section{n}/page" + ("/*" if n % 3 == 1 else ""), "payments", kinds[n % 3]) for n in range(1000)]  # type: ignore[arg-type]  # one of the three
    classifier = MaintenanceOperationClassifier(rules=rules, operations=[PAYMENTS])

    def cost(number: int) -> float:
        started = time.perf_counter()
        classifier.classify("POST", f"/section{number}/other/{number}")
        return time.perf_counter() - started

    assert min(cost(number) for number in range(50)) < 0.001
