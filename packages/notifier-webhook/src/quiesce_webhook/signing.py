"""The headers of Standard Webhooks (https://www.standardwebhooks.com): id, time, and a signature for each secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"


def headers_of(notice_id: str, body: bytes, *, secrets: Sequence[str], now_seconds: int) -> dict[str, str]:
    """Return the headers that let a receiver drop repeats, and know who sent it.

    Args:
        notice_id: the same at every attempt.
        body: as it is sent, byte for byte.
        secrets: each signs; none: there is no signature.
        now_seconds: since the epoch, of this attempt.
    """
    headers = {"webhook-id": notice_id, "webhook-timestamp": str(now_seconds)}
    if secrets:
        signed = f"{notice_id}.{now_seconds}.".encode() + body
        headers["webhook-signature"] = " ".join(f"v1,{_signature(secret, signed)}" for secret in secrets)
    return headers


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
