"""Who may do what."""

from __future__ import annotations

import pytest

from app.errors import NotFound
from app.facade.caller import (
    ALL_RIGHTS,
    Caller,
    NotAllowed,
    local_caller,
    require,
    require_everywhere,
    visitor_rights,
)
from app.facade.collections import delete_collection, names_of_collections, start_verifying
from app.facade.feedback import feedback_status, record
from app.facade.gate import promote
from app.facade.jobs import cancel_job, list_jobs, read_log
from app.settings import Location
from indexing import Collection
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


def test_who_may_use_some_collections_sees_no_others(home, monkeypatch):
    monkeypatch.setenv("STLIB_JOBS", "0")  # none is started
    location = Location(home)
    for name in ("open", "hidden"):
        Collection.create(name, home=home).close()
    jobs = {name: start_verifying(local_caller(), location, name) for name in ("open", "hidden")}
    some = Caller("ann", "api", rights=ALL_RIGHTS, collections=frozenset({"open"}))
    assert [job.id for job in list_jobs(location, caller=some)] == [jobs["open"].id]
    assert names_of_collections(some, location) == (["open"], [])
    assert read_log(location, jobs["open"].id, caller=some) == []
    for look in (read_log, cancel_job):
        with pytest.raises(NotFound, match="no job"):
            look(location, jobs["hidden"].id, caller=some)
    refused = [
        lambda: start_verifying(some, location, "hidden"),
        lambda: delete_collection(some, location, "hidden", "hidden"),
        lambda: feedback_status(some, location, "hidden"),
        lambda: record(some, location, "hidden", "q", "d", "up"),
        lambda: promote(some, location, "hidden", 1),
    ]
    for ask in refused:
        with pytest.raises(NotAllowed, match="ann may not use collection 'hidden'"):
            ask()
    with pytest.raises(NotAllowed, match="ann may use some collections only"):
        require_everywhere(some, "manage")
    assert cancel_job(location, jobs["open"].id, caller=some).state == "cancelled"
