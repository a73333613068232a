"""Who may do what."""

from __future__ import annotations

import pytest

from app.facade.caller import ALL_RIGHTS, Caller, NotAllowed, local_caller, require, visitor_rights
from indexing.errors import BadInput


def test_a_right_that_is_missing_is_named():
    visitor = Caller("ann", "page", rights=frozenset({"search"}))
    require(visitor, "search")
    with pytest.raises(
        NotAllowed, match=r"ann may search here, and this needs the right to judge.*STLIB_RIGHTS"
    ):
        require(visitor, "judge")


def test_rights_of_visitors_come_from_the_environment():
    assert visitor_rights({}) == ALL_RIGHTS
    assert visitor_rights({"STLIB_RIGHTS": "search, judge"}) == {"search", "judge"}
    assert visitor_rights({"STLIB_RIGHTS": ""}) == frozenset()
    with pytest.raises(BadInput, match="lists fly: use some of improve, judge, manage, search, write"):
        visitor_rights({"STLIB_RIGHTS": "fly"})


def test_a_local_caller_may_do_everything():
    assert local_caller("cli").rights == ALL_RIGHTS
