"""The guide's endpoints, as rules: what is asked when neither the operator, the code nor a plugin has an opinion.

An endpoint that the guide names is of its type by every method. What it only describes ("profile updates", "job-related
routes") is so by the methods that write, so that the pages around it can be read.
"""

from __future__ import annotations

from ..model import OperationType, Rule, RuleKind

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that read (RFC 9110, section 9.2.1)."""

_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE", "WEBSOCKET"})
_AROUND = r"/(?:(?:api(?:/v\d+)?|admin|auth|accounts?|users?|session|jwt|cookie|bearer)/){0,4}"
_LOG_IN = _AROUND + r"(?:log|sign)[_-]?(?:in|out)(?:/|\Z)"
_GRANT = r"/(?:api/(?:v\d+/)?)?(?:auth|oauth2?)/token(?:/|\Z)"  # /token alone may be anything that is called so


def _rules(
    operation: OperationType, *patterns: str, kind: RuleKind = "prefix", methods: frozenset[str] | None = None
) -> tuple[Rule, ...]:
    return tuple(Rule(pattern, operation.name, kind, methods) for pattern in patterns)


GUIDE_RULES: tuple[Rule, ...] = (
    # Before the admin routes: an administrator who is logged out must be able to come in by /admin/login.
    *_rules(OperationType.AUTHENTICATION, _LOG_IN, _GRANT, kind="regex"),
    *_rules(OperationType.ADMIN_OPERATIONS, "/admin", "/api/admin"),
    *_rules(OperationType.CAPTION_GENERATION, "/start_caption_generation", "/api/caption"),
    *_rules(OperationType.JOB_CREATION, "/api/jobs"),
    *_rules(OperationType.JOB_CREATION, "/jobs", "/api/job", "/job", methods=_WRITES),
    *_rules(
        OperationType.PLATFORM_OPERATIONS,
        "/switch_platform",
        "/test_connection",
        "/api/switch_platform",
        "/api/test_connection",
    ),
    *_rules(
        OperationType.PLATFORM_OPERATIONS,
        "/platform",
        "/platforms",
        "/platform_management",
        "/add_platform",
        "/edit_platform",
        "/delete_platform",
        "/api/platform",
        "/api/platforms",
        "/api/add_platform",
        "/api/edit_platform",
        "/api/delete_platform",
        methods=_WRITES,
    ),
    *_rules(OperationType.BATCH_OPERATIONS, "/batch", "/api/batch"),
    *_rules(OperationType.BATCH_OPERATIONS, "/bulk", "/api/bulk", methods=_WRITES),
    *_rules(
        OperationType.IMAGE_PROCESSING,
        "/image",
        "/images",
        "/upload",
        "/upload_image",
        "/optimize_image",
        "/optimise_image",
        "/analyze_image",
        "/analyse_image",
        "/api/image",
        "/api/images",
        "/api/upload",
        methods=_WRITES,
    ),
    *_rules(
        OperationType.USER_DATA_MODIFICATION,
        "/profile",
        "/settings",
        "/account",
        "/preferences",
        "/password",
        "/change_password",
        "/reset_password",
        "/api/profile",
        "/api/settings",
        "/api/account",
        "/api/preferences",
        "/api/password",
        methods=_WRITES,
    ),
)
"""In order; the first that matches decides."""
