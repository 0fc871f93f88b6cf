"""Reading a command's body: exactly what is asked for, or an error that names it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.model import InvalidValueError
from quiesce.web.bodies import read_body
from quiesce.web.exchange import LONGEST_BODY, ApiRequest

FIELDS: dict[str, type | tuple[type, ...]] = {
    "reason": str,
    "duration": (int, float),
    "operations": list,
    "notify_users": bool,
}


def read(body: bytes, *, content_type: str | None = "application/json") -> dict[str, Any]:
    headers = {} if content_type is None else {"content-type": content_type}
    return read_body(ApiRequest(method="POST", path="/x", headers=headers, body=body), fields=FIELDS)


def test_known_fields_come_back_as_they_are() -> None:
    """Types are checked, not converted."""
    asked = {"reason": "☂", "duration": 1.5, "operations": ["a"], "notify_users": False}

    assert read(json.dumps(asked).encode()) == asked
    assert read(json.dumps(asked, ensure_ascii=False).encode()) == asked


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", " application/json ;"])
def test_content_type_is_read_as_http_has_it(content_type: str) -> None:
    """Letter case and parameters do not matter (RFC 9110 §8.3.1)."""
    assert read(b'{"duration":1}', content_type=content_type) == {"duration": 1}


@pytest.mark.parametrize("body", [b"", b" \r\n\t"])
@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain"])
def test_empty_body_asks_for_nothing_special(body: bytes, content_type: str | None) -> None:
    """``curl -X POST …/disable`` is enough."""
    assert read(body, content_type=content_type) == {}


def test_null_is_as_good_as_left_out() -> None:
    """Clients with typed models send it."""
    assert read(b'{"reason":null,"duration":5}') == {"duration": 5}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"reasons":"x"}', "reasons"),
        (b'{"' + b"x" * 5000 + b'":1}', None),
        (b'{"a\\u0000b":1}', None),
        (b'{"reason":5}', "reason"),
        (b'{"reason":["x"]}', "reason"),
        (b'{"reason":{}}', "reason"),
        (b'{"reason":true}', "reason"),
        (b'{"duration":"5"}', "duration"),
        (b'{"duration":true}', "duration"),
        (b'{"duration":false}', "duration"),
        (b'{"operations":"a"}', "operations"),
        (b'{"operations":{"a":1}}', "operations"),
        (b'{"notify_users":1}', "notify_users"),
        (b'{"notify_users":0}', "notify_users"),
        (b'{"notify_users":"yes"}', "notify_users"),
        (b'{"reason":"a","reason":"b"}', "body"),
        (b'{"operations":[{"a":1,"a":2}]}', "body"),
        (b'{"duration":NaN}', "body"),
        (b'{"duration":Infinity}', "body"),
        (b'{"duration":-Infinity}', "body"),
        (b'{"duration":1', "body"),
        (b"{'duration':1}", "body"),
        (b"[]", "body"),
        (b"null", "body"),
        (b'"text"', "body"),
        (b"5", "body"),
        (b"\xff\xfe\xfd", "body"),
        (b'{"reason":"\xff"}', "body"),
        (b'{"reason":"a\nb"}', "body"),
        (b"[" * 60_000, "body"),
        (b'{"a":' * 10_000, "body"),
        (b'{"duration":' + b"9" * 5000 + b"}", "body"),
        (b" " * (LONGEST_BODY + 1), "body"),
        (b'{"reason":"' + b"x" * LONGEST_BODY + b'"}', "body"),
        (b'{"duration":1}{"duration":2}', "body"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_anything_else_is_an_error_that_names_it(body: bytes, field: str | None) -> None:
    """A command that is half understood must not be half carried out."""
    with pytest.raises(InvalidValueError) as caught:
        read(body)

    assert field in (None, caught.value.field)
    assert len(caught.value.field) <= 80
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/jsonp",
        "text/json",
    ],
)
def test_other_content_type_is_refused(content_type: str | None) -> None:
    """What a foreign page's form can send is no command."""
    with pytest.raises(InvalidValueError, match="application/json"):
        read(b'{"duration":1}', content_type=content_type)


@given(
    st.binary(max_size=300)
    | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_no_body_raises_anything_else(body: bytes) -> None:
    """The API turns this one error into a 400."""
    try:
        found = read(body)
    except InvalidValueError:
        return

    assert set(found) <= set(FIELDS)
