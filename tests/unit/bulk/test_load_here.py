"""A bulk load in one process leaves what a plain run leaves, however often it is stopped."""

from __future__ import annotations

import pytest
from sqlalchemy import event, text

from indexing import Collection
from indexing.bulk import driver, loads
from indexing.bulk.counting import count_off
from indexing.bulk.loads import abandon, unfinished
from indexing.bulk.report import LoadReport, PieceReport
from indexing.catalog.database import writing
from indexing.catalog.schema import LoadShard
from indexing.documents import Skipped
from indexing.documents.marks import Mark
from indexing.errors import BadInput, DiskFull, LockedError, StorageError
from tests.toy_terms import ToyTerms
from tests.unit.bulk.given import Given, documents, facts, load, say_always


@pytest.fixture
def db(request):
    """None for a file of its own."""
    on_server = getattr(request, "param", "sqlite") == "postgres"
    return request.getfixturevalue("postgres_url") if on_server else None


on_both = pytest.mark.parametrize("db", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def collection(home, db):
    with Collection.create("c", home=home, db=db) as made:
        yield made


@pytest.fixture
def plain(tmp_path):
    """What `add` makes of documents: facts and report."""

    def run(*runs, **settings):
        with Collection.create("c", home=tmp_path / "plain", **settings) as other:
            reports = [other.add(run, on_error="skip") for run in runs]
            return facts(other), reports[-1]

    return run


def counts(report):
    names = ("received", "added", "updated", "unchanged", "duplicates", "skipped", "denied", "chunks")
    return {name: getattr(report, name) for name in names}


@on_both
def test_a_load_leaves_what_a_plain_run_leaves(home, db, plain):
    given = [*documents(70), Skipped("a.jsonl", 3, "no JSON"), {"id": "empty", "text": " "}]
    expected, added = plain(given, sparse=ToyTerms())
    with Collection.create("c", home=home, db=db, sparse=ToyTerms()) as collection:
        source, said = Given(given), []
        report = load(collection, source, progress=lambda r: said.append(r.done))
        assert facts(collection) == expected
        assert counts(report.added) == counts(added) and report.added.chunks > 72
        assert (report.shards, report.done, report.bad, report.finished) == (4, 4, [], True)
        assert str(report.added.skips[0]) == "a.jsonl, line 3: no JSON"
        assert said[-1] == 4
        numbers = [0, 1, 2, 3]
        assert source.calls == ["plan", ("finish", numbers, set(), []), "sync_rest"]
        assert collection.verify().clean
        assert collection.search("45", mode="keyword")[0].id == "d0045"
        again = load(collection, Given(given))  # finished ones leave no plan behind
        assert (again.added.added, again.added.updated, again.added.unchanged) == (0, 0, 70)
        assert again.added.duplicates == 0
        assert facts(collection) == expected


def test_changes_deletions_and_metadata_as_a_plain_run(collection, plain):
    first, second = documents(40), documents(50)
    for at in range(0, 50, 3):
        second[at] = documents(50, "a new number")[at]
    second[1] = type(second[1])(second[1].id, second[1].text, second[1].title, {"other": 1})
    expected, added = plain(first, second)
    assert load(collection, Given(first)).added.added == 40
    report = load(collection, Given(second))
    assert facts(collection) == expected
    assert counts(report.added) == counts(added)
    assert collection.verify().clean


def test_documents_with_places_of_files_keep_them(collection, plain):
    def placed(one):
        marks = (Mark(0, "page", 1), Mark(3, "heading", "Ü", 2))
        return type(one)(f"{one.id}.md", one.text, one.title, one.metadata, f"/docs/{one.id}.md", marks)

    given = [placed(one) for one in documents(20)]
    expected, _ = plain(given)
    load(collection, Given(given))
    assert facts(collection) == expected


@on_both
def test_a_load_that_was_stopped_goes_on(collection, plain, monkeypatch):
    expected, _ = plain(documents(60))
    say_always(monkeypatch)

    def stop(report):
        if report.added.received >= 32:
            raise KeyboardInterrupt

    source = Given(documents(60))
    with pytest.raises(KeyboardInterrupt):
        load(collection, source, progress=stop)
    assert len(collection) == 32 and len(unfinished(collection._session)) == 1
    assert source.read_pieces == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]
    assert collection.verify().clean
    again = Given(documents(60))
    report = load(collection, again)
    assert again.calls[0] == ("check", [1, 2])
    assert again.read_pieces[0] == (1, 2) and len(again.read_pieces) == 6
    assert (report.resumed, report.finished, report.added.added) == (True, True, 60)
    assert facts(collection) == expected


def test_what_changed_since_is_an_error_until_it_is_planned_anew(collection, plain, monkeypatch):
    _stop_after(collection, Given(documents(60)), 20, monkeypatch)
    revised = Given(documents(60, "another number"))
    revised.changed = "a.jsonl"
    with pytest.raises(BadInput, match=r"a\.jsonl was changed .* --restart"):
        load(collection, revised)
    assert revised.read_pieces == [] and len(collection) == 20
    report = load(collection, revised, restart=True)
    assert (report.resumed, report.added.added, report.added.updated) == (False, 40, 20)
    assert facts(collection) == plain(documents(60, "another number"))[0]


def _stop_after(collection, source, received, monkeypatch):
    say_always(monkeypatch)

    def stop(report):
        if report.added.received >= received:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(collection, source, progress=stop)


def test_a_bad_part_is_named_and_tried_again(collection, plain):
    source = Given(documents(60))
    source.broken = {1: 2}
    report = load(collection, source)
    assert [(one.number, one.reason) for one in report.bad] == [(1, "part 1 is torn")]
    assert (report.finished, report.done, report.bad_count, len(collection)) == (False, 2, 1, 52)
    assert source.calls == ["plan", ("finish", [0, 1, 2], {1}, [])]
    mended = Given(documents(60))
    report = load(collection, mended)
    assert mended.read_pieces == [(1, 2), (1, 3)]
    assert (report.finished, report.bad, report.added.added) == (True, [], 60)
    assert facts(collection) == plain(documents(60))[0]


def test_loads_of_different_sources_have_plans_of_their_own(collection, monkeypatch):
    _stop_after(collection, Given(documents(60)), 20, monkeypatch)
    assert load(collection, Given(documents(30, "other"), name="other")).finished
    left = unfinished(collection._session)
    assert [one.identity["name"] for one in left] == ["given"]
    abandon(collection._session, left[0])
    assert unfinished(collection._session) == []


def test_a_plan_that_was_not_made_to_its_end_is_made_anew(collection, monkeypatch):
    class Torn(Given):
        def plan(self, piece_documents):
            yield next(super().plan(piece_documents))
            raise OSError("the share went away")

    with pytest.raises(OSError, match="went away"):
        load(collection, Torn(documents(60)))
    assert [one.state for one in unfinished(collection._session)] == ["planning"]
    report = load(collection, Given(documents(60)))
    assert (report.resumed, report.added.added, report.shards) == (False, 60, 3)


def test_a_large_plan_is_written_and_read_in_portions(collection, monkeypatch):
    monkeypatch.setattr(loads, "_PLANNED_AT_ONCE", 7)
    monkeypatch.setattr("indexing.catalog.loads._READ_AT_ONCE", 3)
    monkeypatch.setattr("indexing.catalog.loads.shards_of.__defaults__", (4,))
    monkeypatch.setattr("indexing.catalog.loads.notes_of_shards.__defaults__", (2,))
    report = load(collection, Given(documents(40), per_shard=2))
    assert (report.shards, report.done, report.added.added) == (20, 20, 40)


def test_ids_that_come_again_are_counted_and_the_last_stored_stays(collection):
    given = documents(30)
    report = load(collection, Given([*given, *documents(3, "later"), *given[5:7]], per_shard=10))
    assert (report.added.duplicates, report.added.added, report.added.updated) == (5, 30, 3)
    assert report.added.unchanged == 2 and "later 2" in collection.get(["d0002"])["d0002"].text


@on_both
def test_what_was_erased_stays_out(collection, plain, tmp_path):
    load(collection, Given(documents(20)))
    collection.erase(["d0003", "d0004"])
    report = load(collection, Given(documents(40)))
    assert (report.added.denied, report.added.added, report.added.unchanged) == (2, 20, 18)
    assert "2 documents were erased" in report.added.notes[0] and "d0003" not in collection
    assert collection.verify().clean


def test_erasing_forgets_plans_that_may_name_what_is_erased(collection, monkeypatch):
    _stop_after(collection, Given(documents(60)), 20, monkeypatch)
    collection.erase(["d0003"])
    assert unfinished(collection._session) == []
    report = load(collection, Given(documents(60)))
    assert (report.resumed, report.added.added, report.added.denied) == (False, 40, 1)


def test_a_second_load_at_once_is_told_so(collection, home, db):
    class Meanwhile(Given):
        def read(self, shard, done):
            with Collection.open("c", home=home, db=db) as other, pytest.raises(LockedError):
                load(other, Given(documents(5)))
            yield from super().read(shard, done)

    assert load(collection, Meanwhile(documents(20))).finished


@on_both
def test_another_generation_that_becomes_live_meanwhile_gets_all(collection, home, db, plain):
    load(collection, Given(documents(10)))

    class Meanwhile(Given):
        def read(self, shard, done):
            for piece in super().read(shard, done):
                if (shard.number, piece.number) == (1, 1):
                    with Collection.open("c", home=home, db=db) as other:
                        other.reindex(precision="float32")
                yield piece

    report = load(collection, Meanwhile(documents(60)))
    assert report.finished and report.added.added == 50
    live = collection._session.live()
    assert live.generation.precision == "float32"
    assert collection.verify().clean
    assert collection.search("45", mode="keyword")[0].id == "d0045"
    report = collection.rollback()  # the one before followed
    assert collection.verify().clean and collection.search("45", mode="keyword")[0].id == "d0045"


def test_a_full_disk_ends_the_load_at_once_and_it_goes_on_later(home, plain):
    collection = Collection.create("c", home=home)
    load(collection, Given(documents(20)))

    def no_more_pages(connection, _record):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 12}")

    collection._session.database.dispose()
    event.listen(collection._session.database, "connect", no_more_pages)
    with pytest.raises(DiskFull, match="what was committed is kept"):
        load(collection, Given(documents(200)))
    collection.close()
    with Collection.open("c", home=home) as again:
        assert again.verify().clean and 20 < len(again) < 200
        report = load(again, Given(documents(200)))
        assert report.resumed and report.finished
        assert facts(again) == plain(documents(200))[0]


def test_a_collection_without_a_model_is_refused(home):
    with Collection.create("c", dimension=4, home=home) as collection:
        with pytest.raises(BadInput, match="without a model"):
            load(collection, Given(documents(3)))
        assert unfinished(collection._session) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("UPDATE load_shard SET stored = 1 WHERE number = 0", "done without all of their pieces"),
        ("UPDATE load_shard SET pieces = NULL WHERE number = 0", "done without all of their pieces"),
        ("UPDATE load_shard SET state = 'lost'", "in no known state"),
        ("INSERT INTO load_piece (shard_id, number, before, digest) VALUES (1, 0, '', '')", "counted twice"),
        ("UPDATE load_shard SET spec = '[]' WHERE number = 1", "have a spec of a wrong type"),
        ("UPDATE load_shard SET added = 'many' WHERE number = 1", "have a added of a wrong type"),
    ],
)
def test_a_plan_that_was_altered_is_named(collection, monkeypatch, change, problem):
    _stop_after(collection, Given(documents(40)), 20, monkeypatch)
    assert collection.verify().clean
    with writing(collection._session.database) as connection:
        connection.execute(text(change))
    assert [problem in one for one in collection.verify().errors] == [True]


def test_a_dropped_collection_takes_its_plans_along(collection, home, db, monkeypatch):
    _stop_after(collection, Given(documents(60)), 20, monkeypatch)
    assert collection.verify().clean
    collection.drop()
    with Collection.create("c", home=home, db=db) as made:
        assert unfinished(made._session) == []
        assert load(made, Given(documents(10))).added.added == 10


def test_a_piece_that_was_left_out_is_read_once_more(collection, plain):
    class LeavesOut(Given):
        times = 1

        def read(self, shard, done):
            for piece in super().read(shard, done):
                if (piece.shard, piece.number) == (1, 2) and self.times:
                    self.times -= 1
                else:
                    yield piece

    report = load(collection, LeavesOut(documents(60)))
    assert (report.finished, report.done, report.added.duplicates) == (True, 3, 0)
    assert (report.added.added, len(collection)) == (60, 60)
    never = LeavesOut(documents(60, "another number"))
    never.times = 100
    with pytest.raises(
        StorageError, match=r"1 parts of the source \(by number: 1\) were read again and nothing"
    ):
        load(collection, never)
    never.times = 0
    assert load(collection, never).resumed and unfinished(collection._session) == []
    assert facts(collection) == plain(documents(60), documents(60, "another number"))[0]


def test_all_parts_that_are_not_whole_are_told_at_the_end(collection, monkeypatch):
    """However many they are: files of which one is a part were not read to their end."""
    monkeypatch.setattr(loads, "_MOST_BAD", 1)
    source = Given(documents(60), per_shard=10)
    source.broken = {1: 0, 3: 1, 4: 0}
    report = load(collection, source)
    assert ([one.number for one in report.bad], report.bad_count) == ([1], 3)
    assert source.calls[-1] == ("finish", [0, 1, 2, 3, 4, 5], {1, 3, 4}, [])


class Parsed(Given):
    """Counted off as files are. `lost` are numbers of items that its reader does not get to."""

    lost: tuple[int, ...] = ()

    def read(self, shard, done):
        first, size = shard.spec["first"], shard.spec["size"]
        numbers = range(first, min(first + self.per_shard, len(self.items)))
        items = (self.items[number] for number in numbers if number not in self.lost)
        for piece in count_off(shard.number, items, size, done):
            self.read_pieces.append((piece.shard, piece.number))
            yield piece


def test_a_part_that_is_read_in_another_way_now_begins_anew(collection, plain, monkeypatch):
    """As by a reader that was ended in the middle before, or by its next version."""
    source = Parsed(documents(60), per_shard=30)
    source.lost = (2, 3)
    _stop_after(collection, source, 18, monkeypatch)
    assert source.read_pieces == [(0, 0), (0, 1), (0, 2)] and len(collection) == 18
    again = Parsed(documents(60), per_shard=30)
    report = load(collection, again)
    assert again.read_pieces == [(shard, number) for shard in (0, 1) for number in range(5)]
    assert report.resumed and report.finished and facts(collection) == plain(documents(60))[0]
    # As for a load that was begun anew, what was there is unchanged.
    counted = report.added
    assert (counted.received, counted.added, counted.unchanged, counted.duplicates) == (60, 42, 18, 0)
    assert collection.verify().clean


@pytest.mark.parametrize("lost", [range(12, 30), range(18, 30)])
def test_a_part_that_is_shorter_now_begins_anew(collection, lost, monkeypatch):
    _stop_after(collection, Parsed(documents(30), per_shard=30), 18, monkeypatch)
    shorter = Parsed(documents(30), per_shard=30)
    shorter.lost = tuple(lost)
    report = load(collection, shorter)
    assert (report.finished, report.added.received, report.added.added) == (True, 30 - len(lost), 0)


def test_a_part_that_is_read_as_before_goes_on(collection, monkeypatch):
    given = [*documents(20), Skipped("a.jsonl", 3, "no JSON"), *documents(40)[20:]]
    _stop_after(collection, Parsed(given, per_shard=41), 24, monkeypatch)
    again = Parsed(given, per_shard=41)
    report = load(collection, again)
    assert again.read_pieces == [(0, 4), (0, 5), (0, 6)]
    assert (report.added.received, report.added.skipped, report.added.duplicates) == (41, 1, 0)


def test_what_others_added_between_two_starts_is_no_duplicate(collection, monkeypatch):
    given = [*documents(60), *documents(3)]
    _stop_after(collection, Given(given), 20, monkeypatch)
    collection.add(documents(30)[25:])
    collection.add(documents(32)[30:])
    _stop_after(collection, Given(given), 40, monkeypatch)
    collection.add(documents(50)[45:])
    report = load(collection, Given(given))
    assert (report.added.duplicates, report.added.unchanged, report.added.added) == (3, 15, 48)


def test_planning_checking_and_the_sync_afterwards_say_so_and_can_be_stopped(collection, monkeypatch):
    say_always(monkeypatch)
    monkeypatch.setattr(loads, "_PLANNED_AT_ONCE", 2)

    class Synced(Given):
        def sync_rest(self, views, encoders, progress=None):
            progress(None, None)
            super().sync_rest(views, encoders)

    def stop_at(number):
        said = []

        def progress(report):
            said.append((report.shards, report.done, report.finished))
            if len(said) == number:
                raise KeyboardInterrupt

        return said, progress

    said, progress = stop_at(2)
    source = Synced(documents(6), per_shard=1)
    with pytest.raises(KeyboardInterrupt):
        load(collection, source, progress=progress)
    assert said == [(2, 0, False), (4, 0, False)] and len(collection) == 0
    said, progress = stop_at(6)
    with pytest.raises(KeyboardInterrupt):
        load(collection, source, progress=progress)
    assert said[3:] == [(6, 0, False), (6, 1, False), (6, 2, False)]  # planned; stored
    said, progress = stop_at(2)
    with pytest.raises(KeyboardInterrupt):  # while it looks what changed
        load(collection, source, progress=progress)
    assert said == [(6, 2, False), (6, 2, False)] and len(collection) == 2
    source.calls.clear()
    said, progress = stop_at(100)
    assert load(collection, source, progress=progress).finished
    assert said[0] == (6, 2, False) and said[-1] == (6, 6, True)
    assert source.calls[-1] == "sync_rest"


def test_counting_takes_a_tenth_of_the_time_at_most(collection, monkeypatch):
    now = [100.0]

    def count(*_, **how):
        assert how == {"whole": False}  # what is bad and was skipped is for the end
        now[0] += 2.0
        return LoadReport()

    class Nobody:
        def after_batch(self, added):
            pass

    monkeypatch.setattr(driver, "report_of", count)
    monkeypatch.setattr(driver.time, "monotonic", lambda: now[0])
    said = []
    teller = driver._Teller(collection._session, Nobody(), lambda _: said.append(now[0]))
    for _ in range(50):
        now[0] += 1.0
        teller.tell(None, PieceReport("stored"))
    assert said == [104.0, 127.0, 150.0]
    # Nor does it read what is planned, which is large: rows are read up to the last column that is wanted.
    assert [column.name for column in LoadShard.__table__.columns][-1] == "spec"
