"""Who sent a request, as an application says it."""

from __future__ import annotations

import pytest

from quiesce import InvalidValueError, Principal


@pytest.mark.parametrize("is_admin", [1, "yes", "false", None, [0]])
def test_what_merely_looks_true_makes_nobody_an_admin(is_admin: object) -> None:
    """A role read from a form or a database as text must not open the gate."""
    with pytest.raises(InvalidValueError, match="is_admin"):
        Principal("bob", is_admin=is_admin)  # type: ignore[arg-type]  # that is the point


def test_a_number_is_a_user_id_too() -> None:
    """Many databases count their users; an admin must not be locked out by the type of a key."""
    assert Principal(7, is_admin=True).user_id == "7"  # type: ignore[arg-type]  # accepted on purpose
