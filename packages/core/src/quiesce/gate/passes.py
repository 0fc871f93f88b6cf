"""Bypass passes at the gate: found in a request that would be refused, verified without I/O, held against the windows.

A pass is good only while the state holds it, so what is issued and revoked anywhere is known wherever the state is. The
signature alone opens nothing, and neither does the store without the key.
"""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Iterator
from datetime import datetime
from hmac import compare_digest
from typing import TYPE_CHECKING

from ..model import BypassPass, Decision

if TYPE_CHECKING:
    from collections.abc import Callable

    from .gate import Gate
    from .pass_signing import PassSigner

PASS_HEADER = "X-Maintenance-Pass"  # noqa: S105 - a name, no secret
"""The header in which programs carry a pass."""
PASS_COOKIE = "maintenance_pass"  # noqa: S105 - a name, no secret
"""The cookie in which browsers carry one."""

_TEXT = re.compile(r"[0-9a-f]{16}\.[A-Za-z0-9_-]{43}")
_COOKIE = f"{PASS_COOKIE}="
_LONGEST_VALUE = 64
"""Of a cookie: a pass, quotes, and a blank on either side."""
_MOST_COOKIES = 4
"""How many of the name are tried: another host of the domain, or a former path, may have set one too."""
_MOST_KEPT = 256

logger = logging.getLogger("quiesce")


class PassReader:
    """Lets requests pass by what they carry; reached as ``gate.passes``. No method raises, whatever is carried.

    Args:
        gate: whose refusals are opened, and whose snapshot says which passes are out.
        now: the time (UTC).
    """

    def __init__(self, gate: Gate, *, now: Callable[[], datetime]) -> None:
        self._gate = gate
        self._now = now
        self._signer: PassSigner | None = None
        self._texts: dict[str, tuple[str, ...]] = {}
        self._told: set[str] = set()

    def trust(self, signer: PassSigner) -> None:
        """Take what this one signs for genuine; until then no pass is good for anything."""
        self._signer = signer
        self._texts.clear()

    @property
    def are_out(self) -> bool:
        """Whether it is worth looking for a pass: there is a key, and the state holds passes."""
        return self._signer is not None and bool(self._gate.snapshot.state.passes)

    def admit(self, token: int, decision: Decision, *, header: str = "", cookie: str = "") -> Decision | None:
        """Let a refused request pass if it carries a pass for that; return the decision that then holds.

        While the store is out of reach and writes are refused for that, no pass opens anything: a revocation would not
        be heard.

        Args:
            token: of its entry, which is marked.
            decision: that refuses it.
            header: its ``X-Maintenance-Pass``; empty: there is none.
            cookie: its ``Cookie``.

        Returns:
            ``None`` when nothing that it carries opens what refuses it: an admin may have sent it still.
        """
        gate = self._gate
        if decision.window is None or not self.are_out or gate.policy.is_shut(is_stale=gate.is_stale):
            return None
        _, method, path, _ = gate.in_flight[token]
        for found in self.carried(header=header, cookie=cookie):
            if self._opens(found, method, path):
                return gate.bypass(token, decision, user=f"pass:{found.name}")
        return None

    def carried(self, *, header: str = "", cookie: str = "") -> Iterator[BypassPass]:
        """Yield the live passes that these fields of a request carry, whatever they open."""
        texts = itertools.chain([header] if header else [], _cookies(cookie))
        return (found for text in texts if (found := self.read(text)) is not None)

    def read(self, text: str) -> BypassPass | None:
        """Return the live pass that a text is, or ``None``."""
        signer = self._signer
        if signer is None or not _TEXT.fullmatch(text):
            return None
        pass_id = text[:16]
        found = next((each for each in self._gate.snapshot.state.passes if each.id == pass_id), None)
        if found is None or not found.is_live(self._now()) or not self._is_genuine(found, text, signer):
            return None
        return found

    def opening(self, method: str, path: str) -> tuple[BypassPass, ...]:
        """Return the live passes by which such a request would pass, if it were refused now; needs no key."""
        now = self._now()
        passes = self._gate.snapshot.state.passes
        return tuple(each for each in passes if each.is_live(now) and self._opens(each, method, path))

    def _opens(self, found: BypassPass, method: str, path: str) -> bool:
        gate = self._gate
        refusing = gate.policy.refusing(gate.snapshot, method, path, classifier=gate.classifier)
        return all(found.opens(window) for window in refusing)

    def _is_genuine(self, found: BypassPass, text: str, signer: PassSigner) -> bool:
        # Compared with what it must be: a flood of wrong ones costs no signature each, and no second spelling of the
        # same signature, which base64 allows, is taken.
        expected = self._texts.get(found.id)
        if expected is None:
            if len(self._texts) >= _MOST_KEPT:
                self._texts.clear()
            expected = self._texts[found.id] = signer.genuine(found.id)
        if any(compare_digest(genuine, text) for genuine in expected):
            return True
        self._tell_of_forgery(found)
        return False

    def _tell_of_forgery(self, found: BypassPass) -> None:
        """Say once what an operator would search for long: that two processes have different keys."""
        if found.id in self._told:
            return
        if len(self._told) >= _MOST_KEPT:
            self._told.clear()
        self._told.add(found.id)
        logger.warning(
            "pass %s for %r was shown with a wrong signature: MAINTENANCE_SECRET_KEY differs where it was issued,"
            " or it is forged",
            found.id,
            found.name,
        )


def _cookies(cookie: str) -> Iterator[str]:
    """Yield what the first few cookies of the name hold; found by ``find``, as 8 kB of anything must cost little."""
    end = 0
    for _ in range(_MOST_COOKIES):
        start = cookie.find(_COOKIE, end)
        if start < 0:
            return
        end = start + len(_COOKIE)
        if start == 0 or cookie[start - 1] in "; \t":
            yield cookie[end : end + _LONGEST_VALUE].partition(";")[0].strip('" \t')
