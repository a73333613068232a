"""A page asks a service what it asks a home, and gets the same: every function, by a real `stlib serve`."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from functools import partial

import httpx
import pytest

from app.desk import entering, keeping, measuring, searching, working
from app.desk.local import LocalDesk
from app.desk.table import ENTRIES, READS
from app.facade.answering import only_passages
from app.facade.beneath import NotServed
from app.facade.caller import NotAllowed
from app.facade.collections import Incoming
from app.facade.jobs import list_jobs
from app.facade.keys import key_caller
from app.facade.reports import write_report
from app.facade.search import Facet, SearchRequest
from app.indexing_job import IndexChoices
from app.remote.connection import Connection
from app.remote.desk import RemoteDesk
from app.remote.errors import KeyRefused, ServiceFailed
from app.settings import Location
from indexing import Collection
from indexing.errors import BadInput, CollectionExists, FilterError, UnknownCollection
from tests.services.api import bearer, new_key, running_service
from tests.unit.documents.made_pdf import Pdf, flowing

SESSION = "0123456789abcdef" * 2
TERMS = "Permission is hereby granted to deal in the software without restriction."
KINDS = Facet("kind", (("insect", 1), ("mammal", 2)))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Files of a folder, of which a picture, lines and a download can be shown, and what was said of them."""
    home, docs = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("docs")
    (docs / "book.pdf").write_bytes(Pdf([flowing("Yeast turns sugar into gas.")]).build())
    (docs / "bees.txt").write_text("\n" * 30 + "Bees make honey.\n")
    for number in range(14):
        (docs / f"terms{number}.txt").write_text(f"{TERMS} {number}")
    with Collection.create("animals", home=home) as collection:
        collection.sync([docs])
        collection.create_serving(collection.settings(), note="other <b>one</b>")
    return home


@pytest.fixture(scope="module")
def service(home):
    with running_service(home, workers=1, keys="required") as service:
        yield service


@pytest.fixture(scope="module")
def connection(service):
    connection = Connection(service.url)
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def of(connection):
    """The desk of the service for whoever has a key."""
    return lambda key, session="": RemoteDesk(connection, key, session)


@pytest.fixture(scope="module")
def desks(home, of):
    """Of one person, here and at the service."""
    key = new_key(home, "ann", scope="admin")
    caller = key_caller(Location(home), key)
    local = LocalDesk(replace(caller, session=f"{caller.session}.{SESSION}"), Location(home))
    return local, of(key, SESSION)


@pytest.fixture(scope="module")
def said(home, desks):
    """Two judgments, and a report by them."""
    here, _ = desks
    for query, document in (("honey", "bees.txt"), ("gas", "book.pdf")):
        here.ask(searching.say, "animals", query, document, "up")
    return write_report(here.caller, Location(home), "animals", "feedback")


def answers(desk):
    try:
        return bool(desk.ask(searching.collections))
    except KeyRefused:
        return False


def asked():
    """Arguments of every function that changes nothing."""
    one = partial(dict, name="animals")
    request = SearchRequest(q="honey", picks={"kind": ("x",)})
    return {
        "searching.outline": one(),
        "searching.count_documents": one(),
        "searching.facets": one(),
        "searching.compare": one(request=replace(request, picks={}), facets=[KINDS], serving=2),
        "searching.said": one(query="honey"),
        "searching.find_original": one(document="book.pdf"),
        "searching.original_page": one(document="book.pdf", page=1, passage="sugar"),
        "searching.original_lines": one(document="bees.txt", line=31, snippet="Bees make honey."),
        "searching.original_file": one(document="book.pdf"),
        "keeping.facts": one(),
        "keeping.folders_of": one(),
        "measuring.evaluation": one(),
        "measuring.running": one(),
        "measuring.report": one(number=1),
        "improving.state": one(),
        "improving.judged": one(),
        "improving.people": one(),
        "improving.to_judge": one(),
        "improving.documents": one(ids=["bees.txt", "none"]),
        "improving.seconds": one(),
        "improving.tuning_job": one(),
        "working.log": {"number": 1},
    }


@pytest.mark.usefixtures("said")
def test_each_function_says_the_same_here_and_there(home, desks):
    here, there = desks
    job = there.ask(keeping.verify, "animals")
    while not next(one for one in list_jobs(Location(home)) if one.id == job.id).finished:
        time.sleep(0.05)
    arguments = asked()
    for name in sorted(READS - {"keeping.models", "keeping.limits"}):
        function, given = ENTRIES[name].function, arguments.get(name, {})
        own, told = here.ask(function, **given), there.ask(function, **given)
        if name == "searching.compare":
            own, told = (replace(one, id="", took_ms=0, steps={}) for one in (own, told))
            assert own.results
        if name == "keeping.facts":  # files of indexes are opened by each process
            own, told = (replace(one, info=replace(one.info, memory_bytes=0)) for one in (own, told))
        if name == "improving.state":  # the searches of a process that it could not write
            own, told = (replace(one, status=replace(one.status, bytes=0)) for one in (own, told))
        assert told == own, name
    assert there.ask(searching.original_page, "animals", "book.pdf", 1, "sugar").png[1:4] == b"PNG"
    assert there.ask(keeping.models) == keeping.ModelChoices(["stlib-static-en"], False)


def test_an_answer_and_its_next_page_are_kept_as_one_persons(home, desks):
    here, there = desks
    request = SearchRequest(q="restriction of software", k=10)
    first = there.ask(searching.answer, "animals", request)
    [page] = first.pages
    [own] = here.ask(searching.answer, "animals", request).pages
    assert [one.id for one in page] == [one.id for one in own]
    more = there.ask(searching.answer, "animals", replace(request, k=20), [], only_passages(first.pages))
    shown = [one.id for answer in (*first.pages, *more.pages) for one in answer]
    assert len(shown) == len(set(shown)) == 16 and more.k >= 20
    there.ask(searching.say, "animals", request.q, shown[0], "up", impression=page.id)
    mine = there.ask(searching.said, "animals", request.q).mine[shown[0]]
    assert (mine.who, mine.impression, mine.source) == ("ann", page.id, "api")
    assert mine.session == there.caller.session == here.caller.session


def test_files_go_up_and_are_read(home, desks, tmp_path):
    _, there = desks
    there.ask(keeping.create, "uploads", IndexChoices())
    with pytest.raises(CollectionExists):
        there.ask(keeping.create, "uploads", IndexChoices())
    files = [Incoming("a b.txt", io.BytesIO(b"Iron rusts.")), Incoming("../x\n.txt", io.BytesIO(b""))]
    received, job = there.ask(keeping.add_files, "uploads", files, False)
    assert [one.name for one in received.stored] == ["a b.txt"]
    assert [why for _, why in received.refused] == ["it is empty"]
    while not (found := next(one for one in there.ask(working.jobs).jobs if one.id == job.id)).finished:
        time.sleep(0.05)
    assert (found.state, there.ask(searching.count_documents, "uploads")) == ("done", 1)
    with pytest.raises(BadInput, match="nothing was deleted"):
        there.ask(keeping.delete, "uploads", "another", True)
    assert "is deleted" in there.ask(keeping.delete, "uploads", "uploads", True)
    assert "uploads" not in there.ask(searching.collections).names


def test_what_goes_wrong_there_is_told_here(desks):
    _, there = desks
    with pytest.raises(FilterError) as failed:
        there.ask(searching.answer, "animals", SearchRequest(q="x", filter="kind = x"))
    assert failed.value.position == 8 - 1 and "x" in str(failed.value)
    with pytest.raises(UnknownCollection):
        there.ask(searching.outline, "nothing")
    with pytest.raises(NotServed):
        there.ask(searching.original_file, "animals", "none")
    with pytest.raises(BadInput, match="STLIB_MODELS"):
        there.ask(keeping.create, "other", IndexChoices(model="/etc"))
    with pytest.raises(BadInput, match="no judged questions '/etc'"):
        there.ask(measuring.start, "animals", "/etc", "test", ENTRIES["measuring.start"].takes["choices"]())


def test_a_key_opens_what_it_is_for_and_nothing_else(home, of):
    reader = of(new_key(home, "reader"))
    assert reader.caller.name == "reader" and reader.caller.rights == {"search"}
    with pytest.raises(NotAllowed, match="right to judge"):
        reader.ask(searching.say, "animals", "honey", "bees.txt", "up")
    with pytest.raises(NotAllowed, match="right to manage"):
        reader.ask(keeping.add_files, "animals", [Incoming("a.txt", io.BytesIO(b"x"))], False)
    other = of(new_key(home, "other", scope="admin", collections=["plants"]))
    assert other.ask(searching.collections).names == []
    with pytest.raises(NotAllowed, match="'animals'"):
        other.ask(searching.answer, "animals", SearchRequest(q="honey"))
    for key in ("", "stlib_unknown", "no key", "größe"):
        with pytest.raises(KeyRefused):
            of(key).ask(searching.collections)


def test_a_person_who_signed_in_gets_a_key_that_ends(home, of):
    page = of(new_key(home, "page", scope="admin"))
    made = page.ask(entering.make_person_key, "bob@example.org", "write", 12.0)
    bob = of(made.text)
    assert (bob.caller.name, bob.caller.rights) == ("bob@example.org", {"search", "judge", "write"})
    with pytest.raises(NotAllowed):
        bob.ask(entering.make_person_key, "eve", "admin", 12.0)
    page.ask(entering.revoke_person_key, made.id)
    deadline = time.monotonic() + 10  # a worker remembers for two seconds who came
    while answers(bob):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    with pytest.raises(BadInput):
        page.ask(entering.make_person_key, "bob", "root", 12.0)


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("searching.answer", b"[]", 400),
        ("searching.answer", b'{"name": "animals"}', 400),
        ("searching.answer", b'{"name": "animals", "request": {"q": 1}}', 400),
        ("searching.answer", b'{"name": "animals", "request": {}, "caller": {}}', 400),
        ("searching.answer", b"[" * 100_000, 400),
        ("keeping.add_files", b"{}", 400),
        ("keeping.facts", b'{"name": "../../etc"}', 400),
        ("searching.say", b'{"name": "' + b"x" * 300_000 + b'"}', 413),
        ("searching.answer", b'{"name": "animals", "request": {"q": "bees", "k": 1000000000}}', 400),
        ("improving.documents", b'{"name": "animals", "ids": [' + b'"x",' * 1_000 + b'"x"]}', 400),
        ("entering.__init__", b"{}", 404),
        ("os.system", b"{}", 404),
    ],
)
def test_a_malformed_request_is_refused(home, service, name, content, status):
    with service.client(new_key(home, "eve", scope="admin")) as client:
        answer = client.post(f"/v1/page/{name}", content=content)
    assert answer.status_code == status and answer.json()["error"]["message"]


def test_who_may_not_ask_is_told_before_what_they_sent_is_read(home, service):
    with service.client(new_key(home, "reader", scope="read")) as client:
        assert client.post("/v1/page/searching.say", content=b"[" * 1_000_000).status_code == 403


def test_too_much_is_refused_before_it_is_kept(home, of):
    desk = of(new_key(home, "judge", scope="write"))
    with pytest.raises(ServiceFailed, match="more than 64 MiB"):
        desk.ask(measuring.add_set, "animals", "much", [Incoming("a.zip", io.BytesIO(bytes(65 << 20)))])
    assert desk.ask(measuring.evaluation, "animals").sets == []


def test_a_session_tells_visits_of_one_key_apart_and_nothing_else(home, service, of):
    key = new_key(home, "two", scope="write")
    for session in (SESSION, "key-of-another", "x" * 5_000):
        desk = of(key, session)
        expected = f"{of(key).caller.session}.{SESSION}" if session == SESSION else None
        assert desk.caller.session == (expected or of(key).caller.session)
    answer = httpx.post(f"{service.url}/v1/page/entering.who", json={}, headers=bearer(key))
    assert answer.json()["answer"]["name"] == "two"
