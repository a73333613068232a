"""What a run over a folder reads, renames and removes."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from sqlalchemy import text

from indexing import Collection
from indexing.catalog.database import writing
from indexing.documents.options import ReadOptions
from indexing.errors import BadInput, UnconfirmedSource
from indexing.sources import compare
from indexing.sources.report import FileCounts
from tests.unit.documents.test_sheets import make_xlsx

ROWS = "text\napples are red\nbread is brown\ncheese is yellow\n"


def keys(collection):
    return {document.id: document.key for document in collection.documents()}


def counts(report):
    return report.added.added, report.added.updated, report.added.unchanged


def test_an_unchanged_folder_is_not_read_again(collection, write, texts):
    folder = write({"a.txt": "apples", "deep/b.md": "# Bread\n\nDough."})
    first = collection.sync(folder)
    assert counts(first) == (2, 0, 0)
    assert first.files == FileCounts(total=2, read=2)
    second = collection.sync(folder)
    assert (counts(second), second.files) == ((0, 0, 0), FileCounts(total=2, unchanged=2))
    assert not second.changed
    assert texts(collection) == {"a.txt": "apples", "deep/b.md": "Bread\n\nDough."}


def test_a_file_that_was_changed_within_the_grain_of_the_clock_is_read_again(collection, write, monkeypatch):
    folder = write({"a.txt": "apples"})
    collection.sync(folder)
    monkeypatch.setattr(compare, "GRAIN", 2 * 10**9)
    status = (folder / "a.txt").stat()
    (folder / "a.txt").write_text("grapes")
    os.utime(folder / "a.txt", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert counts(collection.sync()) == (0, 1, 0)


def test_what_changed_is_read_and_the_rest_is_not(collection, write, texts):
    folder = write({"a.txt": "apples", "b.txt": "bread"})
    collection.sync(folder)
    before = keys(collection)
    write({"b.txt": "rye bread", "c.txt": "cheese"})
    report = collection.sync()
    assert (counts(report), report.files) == ((1, 1, 0), FileCounts(total=3, unchanged=1, read=2))
    assert texts(collection) == {"a.txt": "apples", "b.txt": "rye bread", "c.txt": "cheese"}
    assert {id_: key for id_, key in keys(collection).items() if id_ in before} == before


def test_a_new_time_embeds_nothing(collection, write):
    folder = write({"a.txt": "apples"})
    collection.sync(folder)
    codes = collection.get(["a.txt"])["a.txt"].key
    os.utime(folder / "a.txt", ns=(1, 10**18))
    report = collection.sync()
    assert (report.files.read, report.added.added, report.added.chunks) == (1, 0, 0)
    assert collection.get(["a.txt"])["a.txt"].key == codes


@pytest.mark.parametrize("how", ["moved", "copied and deleted"])
def test_a_renamed_file_keeps_its_documents(collection, write, folder, texts, how):
    write({"a.txt": "apples", "b.txt": "bread", "rows.csv": ROWS})
    collection.sync(folder)
    before = keys(collection)
    (folder / "new").mkdir()
    for old, new in (("b.txt", "new/rye.txt"), ("rows.csv", "table.csv")):
        if how == "moved":
            (folder / old).rename(folder / new)
        else:
            shutil.copyfile(folder / old, folder / new)
            (folder / old).unlink()
    report = collection.sync()
    assert report.files.renamed == 2
    assert (report.added.added, report.added.chunks, report.vanished) == (0, 0, 0)
    names = {"b.txt": "new/rye.txt", **{f"rows.csv#{n}": f"table.csv#{n}" for n in (2, 3, 4)}}
    assert dict(report.renames) == names
    assert keys(collection) == {names.get(id_, id_): key for id_, key in before.items()}
    assert texts(collection)["new/rye.txt"] == "bread"
    assert collection.verify().clean
    assert collection.search("bread", 1, mode="keyword")[0].id == "new/rye.txt"
    assert counts(collection.sync()) == (0, 0, 0)


def test_a_file_takes_the_name_of_one_that_is_gone(collection, write, folder, texts):
    """The document of the first is removed, the second keeps its own under the new name."""
    write({"a.txt": "apples", "b.txt": "bread", "c.txt": "c", "d.txt": "d"})
    collection.sync(folder)
    before = keys(collection)
    (folder / "a.txt").rename(folder / "b.txt")
    report = collection.sync(prune=True)
    assert texts(collection)["b.txt"] == "apples"
    assert "a.txt" not in texts(collection)
    assert report.pruned == 1
    assert len(before) - 1 == len(collection)


@pytest.mark.parametrize(
    ("steps", "kept", "new"),
    [
        ("a.txt t  b.txt a.txt  t b.txt", {"a.txt": "b.txt", "b.txt": "a.txt"}, []),
        ("c.txt d.txt  b.txt c.txt  a.txt b.txt", {"c.txt": "d.txt", "b.txt": "c.txt", "a.txt": "b.txt"}, []),
        # A log that is rotated; then one that takes the place of another, which is an edit of that one.
        ("b.txt d.txt  a.txt b.txt  log a.txt", {"b.txt": "d.txt", "a.txt": "b.txt"}, ["a.txt"]),
        ("b.txt a.txt", {}, []),
    ],
    ids=["two change places", "each takes the next name", "the first is new", "one takes the place"],
)
def test_files_that_take_names_of_each_other(collection, write, folder, texts, tmp_path, steps, kept, new):
    write({"a.txt": "apples", "b.txt": "bread", "c.txt": "cheese"})
    (tmp_path / "log").write_text("dates")
    collection.sync(folder)
    before = keys(collection)
    names = iter(steps.split())
    for old, name in zip(names, names, strict=True):
        (tmp_path / "log" if old == "log" else folder / old).rename(folder / name)
    report = collection.sync(prune=True, force=True)
    assert dict(report.renames) == kept
    now = keys(collection)
    assert {old: now[name] for old, name in kept.items()} == {old: before[old] for old in kept}
    assert [name for name, key in now.items() if key not in before.values()] == new
    assert texts(collection) == {path.name: path.read_text() for path in folder.iterdir()}
    assert collection.verify().clean
    assert counts(collection.sync()) == (0, 0, 0)


def test_a_hard_link_that_takes_a_name_leaves_the_other_where_it_was(collection, write, folder, texts):
    write({"a.txt": "apples", "b.txt": "bread"})
    collection.sync(folder)
    before = keys(collection)
    (folder / "b.txt").unlink()
    (folder / "b.txt").hardlink_to(folder / "a.txt")
    collection.sync()
    assert (keys(collection), texts(collection)) == (before, {"a.txt": "apples", "b.txt": "apples"})


def test_a_row_is_known_by_its_content(collection, write, folder, texts):
    write({"rows.csv": ROWS, "other.csv": "text\n" + "".join(f"filler {n}\n" for n in range(9))})
    collection.sync(folder)
    before = keys(collection)
    write({"rows.csv": ROWS.replace("apples are red\n", "")})
    report = collection.sync()
    assert (report.vanished, report.pruned, report.added.chunks) == (1, 0, 0)
    assert texts(collection)["rows.csv#2"] == "bread is brown"
    assert texts(collection)["rows.csv#3"] == "cheese is yellow"
    assert texts(collection)["rows.csv#2~2"] == "apples are red"  # it stays until it is removed
    assert keys(collection)["rows.csv#3"] == before["rows.csv#4"]
    report = collection.sync(prune=True)
    assert (report.vanished, report.pruned) == (1, 1)
    assert sorted(id_ for id_ in texts(collection) if id_.startswith("rows")) == ["rows.csv#2", "rows.csv#3"]
    assert collection.verify().clean


def test_a_row_that_comes_in_the_place_of_one_that_is_gone_is_another(collection, write, texts):
    folder = write({"rows.csv": ROWS})
    collection.sync(folder)
    before = keys(collection)
    write({"rows.csv": "text\ncheese is yellow\ndates are sweet\n"})
    collection.sync()
    assert texts(collection) == {
        "rows.csv#2": "cheese is yellow",
        "rows.csv#3": "dates are sweet",
        "rows.csv#2~2": "apples are red",
        "rows.csv#3~2": "bread is brown",
    }
    assert keys(collection)["rows.csv#3~2"] == before["rows.csv#3"]
    collection.sync(prune=True, force=True)
    assert texts(collection) == {"rows.csv#2": "cheese is yellow", "rows.csv#3": "dates are sweet"}


def test_a_row_of_a_list_is_known_by_its_content(collection, write, folder, texts):
    def write_all(rows):
        write({"one.json": json.dumps([{"text": row} for row in rows])})
        write({"deep.json": json.dumps({"items": [{"text": f"deep {row}"} for row in rows]})})

    rows = ["apples are red", "bread is brown", "cheese is yellow", "dates are sweet"]
    write_all(rows)
    collection.sync(folder)
    before = {one.text: one.key for one in collection.documents()}
    assert len(before) == 8
    write_all([rows[1], "cheese is old", rows[3]])
    report = collection.sync(prune=True, force=True)
    after = {one.text: one.key for one in collection.documents()}
    assert report.pruned == 2
    kept = {"bread is brown", "dates are sweet", "deep bread is brown", "deep dates are sweet"}
    assert {text: after[text] for text in kept} == {text: before[text] for text in kept}
    assert after["deep cheese is old"] == before["deep cheese is yellow"]


def test_a_row_of_a_sheet_is_known_by_its_content(collection, folder, texts):
    names = ["red apples", "brown bread", "yellow cheese", "sweet dates"]
    rows = [["name", "price"], *([name, number] for number, name in enumerate(names))]
    (folder / "s.xlsx").write_bytes(make_xlsx({"Food": rows}))
    collection.sync(folder)
    before = keys(collection)
    assert sorted(before) == [f"s.xlsx#Food!{row}" for row in (2, 3, 4, 5)]
    del rows[1]
    (folder / "s.xlsx").write_bytes(make_xlsx({"Food": rows}))
    report = collection.sync(prune=True)
    assert (report.added.chunks, report.pruned) == (0, 1)
    assert keys(collection) == {f"s.xlsx#Food!{row}": before[f"s.xlsx#Food!{row + 1}"] for row in (2, 3, 4)}


def test_an_edited_row_is_the_one_between_the_same_two(collection, write, folder, texts):
    write({"rows.csv": ROWS})
    collection.sync(folder)
    before = keys(collection)
    write({"rows.csv": "text\nfirst of all\n" + ROWS.replace("bread is brown", "bread is black")[5:]})
    report = collection.sync()
    assert counts(report)[0] == 1
    found = texts(collection)
    assert [found[f"rows.csv#{n}"] for n in (2, 3, 4, 5)] == [
        *("first of all", "apples are red", "bread is black", "cheese is yellow"),
    ]
    assert keys(collection)["rows.csv#3"] == before["rows.csv#2"]
    assert keys(collection)["rows.csv#4"] == before["rows.csv#3"]
    assert keys(collection)["rows.csv#5"] == before["rows.csv#4"]


def test_what_vanished_is_counted_and_removed_when_asked(collection, write, folder, texts):
    write({f"{n}.txt": f"text {n}" for n in range(10)})
    collection.sync(folder)
    (folder / "3.txt").unlink()
    write({"4.txt": "  \n"})
    report = collection.sync()
    assert (report.vanished, report.pruned, report.files.vanished, report.files.empty) == (2, 0, 1, 1)
    assert len(collection) == 10
    report = collection.sync(prune=True)
    assert (report.vanished, report.pruned, report.refused) == (2, 2, [])
    assert sorted(texts(collection)) == [f"{n}.txt" for n in range(10) if n not in (3, 4)]
    assert collection.sync(prune=True).vanished == 0


@pytest.mark.parametrize("what", ["empty", "missing", "most of it"])
def test_removing_much_is_refused_without_force(collection, write, folder, what):
    write({f"{n}.txt": f"text {n}" for n in range(10)})
    collection.sync(folder)
    if what == "missing":
        folder.rename(folder.with_name("elsewhere"))
    for path in folder.glob("*.txt") if what == "empty" else map(folder.joinpath, ["1.txt", "2.txt"]):
        path.unlink(missing_ok=True)
    if what == "most of it":
        (folder / "3.txt").unlink()
        (folder / "4.txt").unlink()
    report = collection.sync(prune=True)
    assert (report.pruned, len(report.refused), len(collection)) == (0, 1, 10)
    found = {
        "empty": "holds nothing to read",
        "missing": "is not there",
        "most of it": "has lost 4 of its 10",
    }
    assert found[what] in report.refused[0] and "--force" in report.refused[0]
    report = collection.sync(prune=True, force=True)
    left = 6 if what == "most of it" else 0
    assert (report.pruned, len(collection)) == (10 - left, left)
    assert collection.verify().clean


def test_a_folder_that_was_moved_and_is_named_anew_keeps_its_documents(collection, write, folder, tmp_path):
    write({"a.txt": "apples", "deep/b.txt": "bread"})
    collection.sync(folder)
    before = keys(collection)
    moved = tmp_path / "archive"
    folder.rename(moved)
    report = collection.sync(moved)
    assert (counts(report), keys(collection)) == ((0, 0, 2), before)
    assert collection.sync().missing == [str(folder)]
    assert [source.root for source in collection.sources()] == [str(moved)]  # nothing was left of the first


def test_documents_that_were_there_before_sources_are_adopted(collection, write, folder, texts):
    from indexing.documents import read_paths

    write({f"{n}.txt": f"text {n}" for n in range(10)} | {"rows.csv": ROWS})
    collection.add(read_paths([folder]))
    (folder / "1.txt").unlink()
    write({"rows.csv": "text\nbread is brown\n"})
    report = collection.sync(folder, prune=True)
    assert (report.added.added, report.vanished, report.pruned) == (0, 3, 3)
    assert sorted(texts(collection)) == ["0.txt", *(f"{n}.txt" for n in range(2, 10)), "rows.csv#2"]


def test_a_file_that_cannot_be_read_keeps_what_was_read_of_it(collection, write, folder, texts):
    write({"rows.jsonl": '{"text": "apples"}\n', "a.txt": "b"})
    collection.sync(folder)
    (folder / "rows.jsonl").write_bytes(b"\x00\x01\x02" * 1000)
    report = collection.sync(prune=True)
    assert [skip.reason for skip in report.added.skips] == ["looks binary, not text"]
    assert (report.vanished, texts(collection)["rows.jsonl#1"]) == (0, "apples")


def test_single_files_are_a_source_of_their_own(collection, write, folder, texts):
    write({"a.txt": "apples", "b.txt": "bread", "c.txt": "cheese"})
    collection.sync([folder / "a.txt", folder / "b.txt"])
    assert [(s.root, s.kind, s.files) for s in collection.sources()] == [(str(folder), "files", 2)]
    write({"b.txt": "rye"})
    report = collection.sync()
    assert (counts(report), texts(collection)) == ((0, 1, 0), {"a.txt": "apples", "b.txt": "rye"})
    collection.sync(folder / "c.txt")
    assert [(s.root, s.kind, s.files) for s in collection.sources()] == [(str(folder), "files", 3)]


def test_a_single_file_that_may_not_be_looked_at_is_one_skip(collection, write, folder, texts, monkeypatch):
    write({"a.txt": "apples", "b.txt": "bread", "sub/c.txt": "cheese"})
    collection.sync([folder / "a.txt", folder / "b.txt", folder / "sub"])
    write({"sub/c.txt": "old cheese"})
    look = Path.is_file

    def forbidden(path, *arguments, **options):
        if path.name == "a.txt":
            raise PermissionError(errno.EACCES, "Permission denied")
        return look(path, *arguments, **options)

    monkeypatch.setattr(Path, "is_file", forbidden)
    report = collection.sync(prune=True, force=True)
    assert [str(skip) for skip in report.added.skips] == [
        f"{folder}/a.txt: cannot be read: Permission denied"
    ]
    assert sorted(texts(collection).values()) == ["apples", "bread", "old cheese"]


def test_a_folder_within_another_that_is_named_is_not_read_twice(collection, write, folder):
    write({"a.txt": "apples", "deep/b.txt": "bread"})
    report = collection.sync([folder / "deep", folder, folder / "a.txt"])
    assert (counts(report), report.added.duplicates) == ((2, 0, 0), 0)
    assert [source.root for source in collection.sources()] == [str(folder)]
    collection.sync(folder / "deep")  # later, by itself: it is one, under the same ids
    assert [source.root for source in collection.sources()] == [str(folder), str(folder / "deep")]
    write({"deep/b.txt": "rye"})
    report = collection.sync()
    assert (counts(report), report.added.duplicates) == ((0, 1, 0), 0)


def test_options_of_a_source_are_remembered(collection, write, folder, texts):
    write({"a.txt": "apples", "b.md": "bread", "draft/c.txt": "cheese"})
    collection.sync(folder, options=ReadOptions(exclude=("draft/",), include=("*.txt",)))
    assert texts(collection) == {"a.txt": "apples"}
    write({"d.txt": "dates", "e.md": "eggs"})
    collection.sync()
    assert sorted(texts(collection)) == ["a.txt", "d.txt"]
    collection.sync(folder, options=ReadOptions())
    assert len(texts(collection)) == 5


def test_sources_of_a_copy_are_asked_about(home, write, folder, tmp_path, monkeypatch):
    with Collection.create("c", home=home) as collection:
        collection.sync(write({"a.txt": "apples"}))
        assert [source.confirmed for source in collection.sources()] == [True]
    monkeypatch.setenv("STLIB_STATE", str(tmp_path / "another machine"))
    with Collection.open("c", home=home) as copy:
        assert [source.confirmed for source in copy.sources()] == [False]
        write({"secret.txt": "dates"})
        with pytest.raises(UnconfirmedSource) as caught:
            copy.sync()
        assert caught.value.roots == [str(folder)]
        assert (len(copy), copy.source_of("a.txt")[0].confirmed) == (1, False)
        assert counts(copy.sync(confirm=True))[0] == 1
        assert [source.confirmed for source in copy.sources()] == [True]


def test_a_source_can_be_forgotten(collection, write, folder):
    write({"a.txt": "apples"})
    collection.sync(folder)
    [source] = collection.sources()
    assert collection.source_of("a.txt") == (source, "a.txt")
    with pytest.raises(BadInput, match=r"has no source 7; there are: 1"):
        collection.forget_source(7)
    collection.forget_source(source.id)
    assert (collection.sources(), collection.source_of("a.txt"), len(collection)) == ([], None, 1)
    assert collection.verify().clean


@pytest.mark.parametrize("forgotten", [0, 1])
def test_documents_of_a_forgotten_source_are_of_one_that_holds_their_files_too(
    collection, write, folder, texts, forgotten
):
    write({"a.txt": "apples", "in/b.txt": "bread", "inner/c.txt": "cheese"})
    collection.sync(folder)
    collection.sync(folder / "in")  # reads the file again: its documents are of this source now
    collection.sync(folder, all_files=forgotten == 0)
    sources = collection.sources()
    collection.forget_source(sources[forgotten].id)
    other = [folder, folder / "in"][1 - forgotten]
    source, name = collection.source_of("in/b.txt")
    assert (source.root, name) == (str(other), ["in/b.txt", "b.txt"][1 - forgotten])
    (folder / "in/b.txt").unlink()
    collection.sync(prune=True, force=True)
    assert "in/b.txt" not in texts(collection)


def test_a_missing_path_changes_nothing(collection, write, folder):
    with pytest.raises(BadInput, match="no such file or folder"):
        collection.sync([write({"a.txt": "apples"}), folder / "no"])
    assert (len(collection), collection.sources()) == (0, [])


def test_rows_with_ids_of_their_own_go_by_them(collection, write, folder, texts):
    write({"rows.jsonl": "".join(f'{{"id": "r{n}", "text": "text {n}"}}\n' for n in range(8))})
    collection.sync(folder)
    before = keys(collection)
    kept = [n for n in range(8) if n not in (2, 5)]
    write({"rows.jsonl": "".join(f'{{"id": "r{n}", "text": "text {n}"}}\n' for n in reversed(kept))})
    report = collection.sync(prune=True)
    assert (counts(report), report.pruned, report.renames) == ((0, 0, 6), 2, [])
    assert keys(collection) == {f"r{n}": before[f"r{n}"] for n in kept}


def test_rows_of_two_files_with_the_same_ids_are_kept_apart(collection, write, folder, texts):
    ids = "".join(f"{n},%s {n}\n" for n in range(3))
    write({"customers.csv": "id,text\n" + ids.replace("%s", "customer"), "a.txt": "filler"})
    write({"orders.csv": "id,text\n" + ids.replace("%s", "order")})
    report = collection.sync(folder)
    assert (counts(report), report.added.duplicates, report.added.renamed) == ((7, 0, 0), 0, 3)
    expected = {
        **{str(n): f"customer {n}" for n in range(3)},
        **{f"orders.csv#{n}": f"order {n}" for n in range(3)},
        "a.txt": "filler",
    }
    assert texts(collection) == expected
    before = keys(collection)
    write({"orders.csv": "id,text\n2,order 2\n0,order zero\n"})
    report = collection.sync()
    assert (counts(report), report.vanished) == ((0, 1, 1), 1)
    assert keys(collection) == before
    (folder / "orders.csv").rename(folder / "sales.csv")
    collection.sync()
    assert {id_.replace("sales", "orders"): key for id_, key in keys(collection).items()} == before
    assert collection.verify().clean


def test_rows_that_were_moved_to_another_file_keep_their_ids(collection, write, folder, texts):
    write({"old.jsonl": '{"id": "a", "text": "apples"}\n{"id": "b", "text": "bread"}\n'})
    collection.sync(folder)
    before = keys(collection)
    (folder / "old.jsonl").unlink()
    write({"new.jsonl": '{"id": "b", "text": "bread"}\n{"id": "a", "text": "apples and pears"}\n'})
    report = collection.sync(prune=True, force=True)
    assert (counts(report), keys(collection)) == ((0, 1, 1), before)
    assert report.vanished == 0


def test_an_inode_that_is_used_again_is_no_rename(collection, write, folder, texts):
    """Of the same size and time as well."""
    write({"a.txt": "apples", "b.txt": "bread"})
    collection.sync(folder)
    status = (folder / "a.txt").stat()
    (folder / "a.txt").rename(folder / "c.txt")
    (folder / "c.txt").write_text("grapes")
    os.utime(folder / "c.txt", ns=(status.st_atime_ns, status.st_mtime_ns))
    report = collection.sync(prune=True, force=True)
    assert (report.files.renamed, texts(collection)) == (0, {"b.txt": "bread", "c.txt": "grapes"})


def test_who_named_files_has_not_named_their_folder(collection, write, folder):
    """A catalog that somebody altered says that the folder is the source, or names files elsewhere."""
    write({"a.txt": "apples", "secret.txt": "dates", "deep/b.txt": "bread"})
    collection.sync(folder / "a.txt")
    with writing(collection._session.database) as connection:
        connection.execute(text("UPDATE file SET name = '../docs/deep/b.txt'"))
    assert collection.sync().files.total == 0
    with writing(collection._session.database) as connection:
        connection.execute(text("UPDATE source SET kind = 'folder'"))
    with pytest.raises(UnconfirmedSource):
        collection.sync()
    assert len(collection) == 1
