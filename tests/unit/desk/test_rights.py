"""What somebody may not do is refused where it would be done, for each function that a page can ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import get_origin

import pytest

from app.desk.local import LocalDesk
from app.desk.table import ENTRIES, right_for
from app.facade.caller import ALL_RIGHTS, Caller, NotAllowed
from app.facade.collections import verify as kind_of_job
from app.facade.jobs import start_job
from app.facade.search import SearchRequest
from app.indexing_job import IndexChoices
from app.report.systems import ReportChoices
from app.settings import Location
from indexing import Collection

VALUES = {str: "animals", int: 1, bool: False, float: 1.0, SearchRequest: SearchRequest(q="bee")}
VALUES |= {IndexChoices: IndexChoices(), ReportChoices: ReportChoices()}

RIGHTS = {
    "judge": {
        "searching.say",
        "improving.judged",
        "improving.people",
        "improving.to_judge",
        "measuring.add_set",
        "measuring.delete_set",
    },
    "improve": {
        "improving.begin_trial",
        "improving.end_trial",
        "improving.promote",
        "improving.roll_back",
        "improving.tune",
        "measuring.start",
    },
    "manage": {
        "entering.make_person_key",
        "entering.revoke_person_key",
        "keeping.add_files",
        "keeping.add_folder",
        "keeping.create",
        "keeping.delete",
        "keeping.folders",
        "keeping.folders_of",
        "keeping.forget_uploads",
        "keeping.models",
        "keeping.sync",
        "keeping.verify",
        "working.cancel",  # of this kind of job
        "working.log",
        "working.resume",
    },
}
OPEN = {"entering.who"}


@pytest.fixture(scope="module")
def location(tmp_path_factory):
    """A collection, and a job that waits: a process of it would be in the way."""
    home = tmp_path_factory.mktemp("home")
    with Collection.create("animals", home=home) as collection:
        collection.add([{"id": "bee", "text": "Bees make honey."}])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STLIB_JOBS", "0")
        start_job(Location(home), "verify", kind_of_job.describe("animals"))
        yield Location(home)


def arguments_of(entry):
    """Some of the right types; `animals` for every text."""
    given = {}
    for name, kind in entry.takes.items():
        origin = get_origin(kind) or kind
        given[name] = (
            [] if origin in (Sequence, list) else {} if origin in (dict, Mapping) else VALUES.get(kind, "x")
        )
    return given


def test_a_service_asks_for_the_right_before_it_reads_what_was_sent():
    for name in ENTRIES:
        right = next((right for right, names in RIGHTS.items() if name in names), "search")
        late = ("working.cancel", "working.log", "working.resume")  # by the kind of the job
        assert right_for(name) == (None if name in OPEN else "search" if name in late else right), name


def ask(location, entry, caller):
    return LocalDesk(caller, location).ask(entry.function, **arguments_of(entry))


@pytest.mark.parametrize("name", sorted(ENTRIES.keys() - OPEN))
def test_each_function_needs_its_right_and_its_collection(location, name):
    entry = ENTRIES[name]
    right = next((right for right, names in RIGHTS.items() if name in names), "search")
    everything = Caller("ann", "page", "s", ALL_RIGHTS)
    with pytest.raises(NotAllowed, match=f"this needs the right to {right}"):
        ask(location, entry, replace(everything, rights=ALL_RIGHTS - {right}))
    if "name" in entry.takes or (name.startswith("working.") and "number" in entry.takes):
        with pytest.raises(NotAllowed, match="may not use collection 'animals'; those allowed: plants"):
            ask(location, entry, replace(everything, collections=frozenset({"plants"})))


def test_what_is_of_other_collections_is_not_told(location):
    ann = Caller("ann", "api", "s", ALL_RIGHTS, frozenset({"plants"}))
    assert ask(location, ENTRIES["searching.collections"], ann).names == []
    assert ask(location, ENTRIES["working.jobs"], ann).jobs == []
    with pytest.raises(NotAllowed, match="some collections only"):
        ask(location, ENTRIES["entering.make_person_key"], ann)


def test_elsewhere_nobody_is_told_where_things_lie(location):
    here, there = (Caller("ann", surface, "s") for surface in ("page", "api"))
    facts = ENTRIES["keeping.facts"]
    assert ask(location, facts, here).info.path == str(location.home / "collections/animals/catalog.sqlite")
    assert ask(location, facts, there).info.path == ""
    jobs = ENTRIES["working.jobs"]
    assert [job.arguments for job in ask(location, jobs, here).jobs] == [{"collection": "animals"}]
    assert [job.arguments for job in ask(location, jobs, there).jobs] == [{}]
