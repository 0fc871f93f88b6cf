"""The endpoint that turns a bypass pass into a browser's cookie.

A pass is never taken from a query: addresses end up in histories, in ``Referer`` and in the logs of proxies.
A link carries it behind ``#``, which no browser sends; the page puts it into its form, and the form posts it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import parse_qs

from ..control import EnhancedMaintenanceModeService
from ..gate import PASS_COOKIE
from ..model import BypassPass, InvalidValueError
from .exchange import ApiRequest, ApiResponse, problem
from .pages import content_policy, render_page
from .routing import PREFIX, Call, Endpoint, Route
from .security import is_same_origin, is_secure_origin

_LONGEST_FORM = 1024
_FORM_TYPE = "application/x-www-form-urlencoded"
_FIELD = "pass"
_ROOT = "../../"
"""The application's root, relative to this endpoint: it holds whatever prefix a mount or a proxy puts before it."""

_SCRIPT = (
    "function take(){var text=location.hash.slice(1);if(!text)return;"
    'document.forms[0].elements["pass"].value=text;history.replaceState(null,"",location.pathname)}'
    'addEventListener("hashchange",take);take()'
)
# The action is written out: an address without one would keep the fragment, and the redirect would inherit it.
_FORM = (
    "<p>With a pass you can use the service while it is closed to others.</p>"
    f'<form method="post" action="pass"><p><label>Pass <input name="{_FIELD}" type="password" required autofocus'
    ' autocomplete="off" spellcheck="false" maxlength="200"></label> <button>Let me in</button></p></form>'
)
_REFUSED = "<p>This pass is not valid, or no longer. Ask whoever gave it to you.</p>"


class PassEndpoints:
    """Takes passes for one service."""

    def __init__(self, service: EnhancedMaintenanceModeService) -> None:
        self._service = service

    def endpoints(self) -> Iterator[Endpoint]:
        """Yield each endpoint with its route."""
        endpoints = (
            ("GET", "pass_form", "A page to hand in a bypass pass", self._show),
            ("POST", "use_pass", "Keep a bypass pass as a cookie", self._take),
        )
        for method, name, summary, answer in endpoints:
            yield Route(method, f"{PREFIX}/pass", name, summary, needs_admin=False, is_page=True), answer

    def _show(self, _call: Call) -> ApiResponse:
        return _page(200, "Maintenance pass", _FORM + f"<script>{_SCRIPT}</script>", script=_SCRIPT)

    def _take(self, call: Call) -> ApiResponse:
        if not is_same_origin(call.request):
            return problem(403, "Not allowed", "A pass is handed in from the page at this address (Origin header).")
        text = _read_form(call.request)
        found = self._service.passes.read(text)
        if found is None:
            return _page(403, "Not let in", _REFUSED)
        cookie = _cookie(text, found, now=self._service.clock.now(), is_secure=is_secure_origin(call.request))
        headers = (("location", _ROOT), ("set-cookie", cookie), ("cache-control", "no-store"))
        return ApiResponse(303, (*headers, ("x-content-type-options", "nosniff")), b"")


def _read_form(request: ApiRequest) -> str:
    if len(request.body) > _LONGEST_FORM:
        raise InvalidValueError("body", f"is longer than {_LONGEST_FORM} bytes")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _FORM_TYPE:
        raise InvalidValueError("body", f"must be sent as {_FORM_TYPE}")
    try:
        fields = parse_qs(request.body.decode("ascii"), strict_parsing=True, max_num_fields=1)
    except ValueError:
        fields = {}
    if fields.keys() != {_FIELD}:
        raise InvalidValueError(_FIELD, "must be given, and nothing else")
    return fields[_FIELD][0].strip()


def _cookie(text: str, found: BypassPass, *, now: datetime, is_secure: bool) -> str:
    """Return ``Set-Cookie`` (RFC 6265): for as long as the pass is good, out of reach of scripts and other sites."""
    seconds = max(1, int((found.expires_at - now).total_seconds()))
    cookie = f"{PASS_COOKIE}={text}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax"
    return f"{cookie}; Secure" if is_secure else cookie


def _page(status: int, title: str, content: str, *, script: str = "") -> ApiResponse:
    headers = (
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", content_policy(script=script)),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),  # 'no-referrer' would make browsers post the form with 'Origin: null'
    )
    return ApiResponse(status, headers, render_page(title=title, content=content))
