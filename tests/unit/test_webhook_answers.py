"""What a receiver's answer means, and how long it may put us off."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce import DeliveryError
from quiesce_webhook.answers import LONGEST_WAIT_SECONDS, check_answer, wait_of

NOW = datetime(2026, 11, 26, 22, 0, tzinfo=UTC)


@given(status=st.integers(100, 999))
def test_nothing_but_a_2xx_is_delivered(status: int) -> None:
    """Any other number taken for a yes loses a notice for good."""
    if 200 <= status < 300:
        check_answer(status, retry_after=None, now=NOW)
        return

    with pytest.raises(DeliveryError) as caught:
        check_answer(status, retry_after=None, now=NOW)

    assert caught.value.disables == (status == 410)
    assert caught.value.is_permanent == (status in {400, 413, 422})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("999999999", LONGEST_WAIT_SECONDS),
        ("Thu, 26 Nov 2026 22:01:30 GMT", 90.0),
        ("Thu, 26 Nov 2026 23:01:30 +0100", 90.0),
        ("Thu, 26 Nov 2026 21:00:00 GMT", 0.0),
        ("Thu, 26 Nov 2099 21:00:00 GMT", LONGEST_WAIT_SECONDS),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣٦٠", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_both_forms(text: str | None, seconds: float | None) -> None:
    """A receiver says when it is well again; one that lies cannot put us off for longer than we try."""
    assert wait_of(text, now=NOW) == seconds


@given(text=st.text())
def test_hostile_retry_after_does_no_harm(text: str) -> None:
    """An error here would hide the receiver's own."""
    found = wait_of(text, now=NOW)

    assert found is None or 0 <= found <= LONGEST_WAIT_SECONDS
