"""Who looks at the page: what a proxy says, what was typed, what a browser brings along."""

from __future__ import annotations

import re

import pytest

from app.ui.visitor import name_of, session_of

SESSION = "0123456789abcdef" * 2
BEHIND_PROXY = {"STLIB_USER_HEADER": "X-Forwarded-User"}


@pytest.mark.parametrize(
    ("headers", "cookies", "typed", "environment", "name"),
    [
        ({"X-Forwarded-User": "ada"}, {"stlib_name": "eve"}, "eve", BEHIND_PROXY, "ada"),
        ({}, {"stlib_name": "eve"}, "eve", BEHIND_PROXY, ""),
        ({"X-Forwarded-User": "ada"}, {}, None, {}, ""),
        ({}, {"stlib_name": "Grace%20Hopper"}, None, {}, "Grace Hopper"),
        ({}, {"stlib_name": "Grace%20Hopper"}, "", {}, ""),
        ({}, {}, "  Grace \n Hopper ", {}, "Grace Hopper"),
        ({}, {"stlib_name": "%1b[31mred%e2%80%ae"}, None, {}, r"\x1b[31mred\u202e"),
        ({}, {}, "x" * 500, {}, "x" * 80),
    ],
)
def test_a_name_is_the_proxys_where_one_is_set_else_what_was_typed(
    headers, cookies, typed, environment, name
):
    assert name_of(headers, cookies, typed, environment) == name


@pytest.mark.parametrize("brought", [None, "", "x", SESSION.upper(), f"{SESSION}0", f'{SESSION[:-1]}"'])
def test_a_session_is_taken_from_the_browser_only_where_it_can_be_one(brought):
    assert session_of({"stlib_session": SESSION}) == SESSION
    made = session_of({} if brought is None else {"stlib_session": brought})
    assert re.fullmatch("[0-9a-f]{32}", made) and made != SESSION
