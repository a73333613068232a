"""What each command prints, over a real collection."""

from __future__ import annotations

import json
import re

import pytest

from app.cli import main
from app.cli.group import cli

ANIMALS = [
    {
        "id": "bee",
        "title": "Bee",
        "text": "Bees make honey from flowers.",
        "metadata": {"kind": "insect", "legs": 6},
    },
    {
        "id": "cat",
        "title": "Cat",
        "text": "Cats purr when content.",
        "metadata": {"kind": "mammal", "legs": 4},
    },
    {
        "id": "dog",
        "title": "Dog",
        "text": "Dogs bark at strangers.",
        "metadata": {"kind": "mammal", "legs": 4},
    },
]


@pytest.fixture
def stlib(capsys, monkeypatch, home):
    """Runs a command line; returns (exit code, stdout, stderr)."""
    monkeypatch.setenv("STLIB_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        return (end.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def animals(stlib, tmp_path):
    path = tmp_path / "animals.jsonl"
    path.write_text("".join(json.dumps(animal) + "\n" for animal in ANIMALS), encoding="utf-8")
    assert stlib("index", "animals", path)[0] == 0
    return path


def test_index_says_what_it_did_and_a_second_run_embeds_nothing(stlib, animals):
    code, out, err = stlib("index", "animals", animals)
    lines = out.splitlines()
    assert code == 0 and err == ""
    assert lines == ["animals: nothing new, 3 documents in 1 file, 1 file read"]  # changed a moment before
    with animals.open("a", encoding="utf-8") as file:
        file.write('{"id": "eel", "text": "Eels swim far."}\n')
    code, out, err = stlib("index", "animals", animals)
    lines = out.splitlines()
    assert lines[0] == "animals: 4 documents in 4 passages (stlib-static-en, int8, faiss)"
    assert lines[1] == "  documents   1 added, 0 updated, 3 unchanged"
    assert re.fullmatch(r"  time        \d+\.\d\d s, [\d,]+ documents/s", lines[2])
    assert lines[3] == "  keyword lag 0 changes"
    assert re.fullmatch(r"  disk        .+ \(.+ catalog, .+ views\)", lines[5])


def test_index_json(stlib, animals):
    animals.write_text(animals.read_text(encoding="utf-8").replace("purr", "sleep"), encoding="utf-8")
    code, out, _ = stlib("index", "animals", animals, "--json")
    summary = json.loads(out)
    assert code == 0
    assert {
        key: summary[key] for key in ("documents", "added", "updated", "unchanged", "skipped", "created")
    } == {
        "documents": 3,
        "added": 0,
        "updated": 1,
        "unchanged": 2,
        "skipped": 0,
        "created": False,
    }
    assert summary["disk_bytes"] > summary["memory_bytes"] == 0  # codes are scanned where they lie


def test_search_prints_the_answer_first(stlib, animals):
    code, out, err = stlib("search", "animals", "which animal makes honey", "-k", 2)
    lines = out.splitlines()
    assert code == 0 and err == ""
    assert lines[:2] == ["1. Bee", "   Bees make honey from flowers."]
    assert lines[2].endswith(" › animals.jsonl › line 1")
    assert re.fullmatch(r"   bee · \d+\.\d{3}", lines[3])
    assert re.fullmatch(r"2 results in [\d.]+ ms \(hybrid\)", lines[-1])


def test_search_json_is_one_object_of_the_promised_shape(stlib, animals):
    code, out, _ = stlib("search", "animals", "honey", "--mode", "keyword", "--json")
    answer = json.loads(out)
    assert code == 0
    assert list(answer) == ["id", "query", "mode", "serving", "seq", "offset", "took_ms", "results"]
    assert (answer["query"], answer["serving"], answer["offset"]) == ("honey", 1, 0)
    [bee] = answer["results"]
    described = ["id", "score", "title", "text", "snippet", "metadata", "parts", "span"]
    assert list(bee) == [*described, "origin", "page", "line", "headings"]
    assert (bee["id"], bee["title"], bee["metadata"]) == ("bee", "Bee", {"kind": "insect", "legs": 6})
    assert [bee["snippet"]["text"][a:b] for a, b in bee["snippet"]["highlights"]] == ["honey"]
    assert bee["parts"] == {"keyword": bee["score"], "keyword_rank": 1}


def test_search_with_a_filter(stlib, animals):
    _, out, _ = stlib("search", "animals", "honey", "--filter", "kind = 'mammal' and legs >= 4", "--json")
    assert {result["id"] for result in json.loads(out)["results"]} == {"cat", "dog"}


def test_explain_shows_parts_and_steps(stlib, animals):
    _, out, _ = stlib("search", "animals", "honey", "-k", 1, "--mode", "semantic", "--explain")
    assert re.search(r"^   (\d\.\d{3}) = by meaning cosine \1, rank 1$", out, re.MULTILINE)
    _, out, _ = stlib("search", "animals", "honey", "-k", 1, "--explain")
    line = re.compile(
        r"^   (\S+) = by meaning (\S+) \(cosine \S+, rank 1\) \+ by words\s+(\S+)\s+\(BM25 \S+,", re.MULTILINE
    )
    score, meaning, words = line.search(out).groups()
    assert float(score) == pytest.approx(float(meaning) + float(words), abs=0.0015)
    _, out, _ = stlib("search", "animals", "honey", "-k", 1, "--mode", "semantic", "--explain")
    assert re.search(r"encode [\d.]+ ms · semantic [\d.]+ ms", out)


@pytest.mark.parametrize("width", [20, 40])
def test_every_command_fits_a_narrow_terminal(stlib, animals, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    for command in (
        ["list"],
        ["info", "animals"],
        ["index", "animals", animals],
        ["search", "animals", "honey"],
        ["plan", "animals"],
        ["plan", "--documents", "40M", "--length", "500"],
    ):
        code, out, _ = stlib(*command)
        assert code == 0 and max(len(line) for line in out.splitlines()) <= width, (command, out)
    monkeypatch.setenv("COLUMNS", "40")
    assert stlib("list")[1].splitlines()[:3] == [
        "animals",
        "  documents   3",
        "  passages    3",
    ]


@pytest.mark.parametrize("width", [36, 40, 60, 80])
def test_help_fits_a_narrow_terminal(stlib, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    names = [[], *([name] for name in cli.list_commands(None))]
    for group in ("feedback", "jobs"):
        names += [[group, name] for name in cli.get_command(None, group).commands]
    for command in names:
        code, out, _ = stlib(*command, "--help")
        assert code == 0 and max(len(line) for line in out.splitlines()) <= width, (command, out)
    if width <= 60:
        assert "  --explain\n      Show the parts of each" in stlib("search", "--help")[1]


def test_search_fits_a_narrow_terminal(stlib, animals, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    _, out, _ = stlib("search", "animals", "which animal makes honey from flowers", "--explain")
    assert max(len(line) for line in out.splitlines()) <= 40


def test_list_and_info(stlib, animals):
    _, out, _ = stlib("list")
    header, row = out.splitlines()
    assert header.split() == ["name", "documents", "passages", "disk", "model", "precision", "engine"]
    assert row.split()[:3] == ["animals", "3", "3"] and row.endswith("stlib-static-en  int8       faiss")
    _, out, _ = stlib("info", "animals")
    assert "  documents    3\n" in out
    assert "  kind (2 values): mammal, insect\n" in out
    info = json.loads(stlib("info", "animals", "--json")[1])
    assert info["metadata"] == {
        "kind": {"documents": 3, "distinct": 2, "complete": True},
        "legs": {"documents": 3, "distinct": 2, "complete": True},
    }


def test_list_of_nothing_says_how_to_begin(stlib):
    assert stlib("list") == (0, "no collections yet: make one with `stlib index NAME PATH`\n", "")


def test_delete_documents_then_the_collection(stlib, animals):
    assert stlib("delete", "animals", "bee", "yeti") == (
        1,
        "deleted 1 document from 'animals'\n",
        "stlib: no document 'yeti' in 'animals'\n",
    )
    found = json.loads(stlib("search", "animals", "honey", "--json")[1])
    assert {result["id"] for result in found["results"]} == {"cat", "dog"}
    assert stlib("delete", "animals", "--yes") == (0, "deleted collection 'animals' with 2 documents\n", "")
    assert json.loads(stlib("list", "--json")[1]) == {"collections": []}


def test_verify_finds_it_clean_and_rebuilds_a_damaged_view(stlib, animals, home):
    clean = "animals: clean, 3 documents in 3 passages checked\n"
    assert stlib("verify", "animals") == (0, clean, "")
    rows = next((home / "collections" / "animals" / "views").rglob("rows-1.bin"))
    rows.write_bytes(b"\0" * rows.stat().st_size)
    code, out, _ = stlib("verify", "animals")
    assert code == 0
    assert out.splitlines()[-1] == "animals: repaired, 3 documents in 3 passages checked"
    assert stlib("verify", "animals") == (0, clean, "")


def test_evaluate_reports_metrics_of_a_beir_folder(stlib, animals, tmp_path):
    beir = tmp_path / "beir"
    (beir / "qrels").mkdir(parents=True)
    (beir / "queries.jsonl").write_text('{"_id": "1", "text": "honey"}\n{"_id": "2", "text": "zebra"}\n')
    (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\tbee\t1\n2\tyeti\t1\n")
    code, out, err = stlib("evaluate", "animals", beir, "--mode", "keyword")
    assert code == 0
    assert out.splitlines()[1:4] == [
        "NDCG@10        0.5000",
        "MRR@10         0.5000",
        "MAP@100        0.5000",
    ]
    assert err == "stlib: 1 relevant document not in 'animals': counted as not found\n"
    report = json.loads(stlib("evaluate", "animals", beir, "--mode", "keyword", "--json")[1])
    assert (report["collection"], report["split"], report["queries"]) == ("animals", "test", 2)
    assert report["metrics"]["Recall@1"] == 0.5


def test_a_database_url_holds_collections_apart_from_home(stlib, animals, tmp_path):
    url = f"sqlite:///{tmp_path / 'other.db'}"
    assert stlib("index", "elsewhere", animals, "--db", url)[0] == 0
    assert [c["name"] for c in json.loads(stlib("list", "--db", url, "--json")[1])["collections"]] == [
        "elsewhere"
    ]
    assert [c["name"] for c in json.loads(stlib("list", "--json")[1])["collections"]] == ["animals"]


def test_help_names_every_command_and_each_has_help(stlib):
    _, out, _ = stlib("--help")
    names = re.findall(r"^  ([\w-]+)  +[A-Z]", out.split("Commands:")[1], re.MULTILINE)
    assert names == [
        "index",
        "sync",
        "watch",
        "sources",
        "search",
        "show",
        "evaluate",
        "report",
        "list",
        "info",
        "plan",
        "export",
        "import",
        "delete",
        "erase",
        "reindex",
        "tune",
        "history",
        "promote",
        "rollback",
        "trial",
        "relocate",
        "drop-generation",
        "compact",
        "verify",
        "backup",
        "restore",
        "copy",
        "feedback",
        "replay",
        "jobs",
        "worker",
        "ui",
        "serve",
        "mcp",
        "keys",
    ]
    for name in names:
        code, out, _ = stlib(name, "--help")
        assert code == 0 and out.startswith(f"Usage: stlib {name} ")


def test_a_file_of_another_folder_with_a_known_path_is_indexed_and_named(stlib, tmp_path):
    for owner in ("ann", "bob"):
        (tmp_path / owner).mkdir()
        (tmp_path / owner / "guide.txt").write_text(f"a guide by {owner}")
    assert stlib("index", "guides", tmp_path / "ann")[0] == 0
    code, out, err = stlib("index", "guides", tmp_path / "bob")
    assert code == 0 and "1 added, 0 updated" in out
    assert err.splitlines() == [
        "stlib: note: 1 document got the name of a folder or file before the id,"
        " because another file has the short one",
        "stlib: note: bob/guide.txt has the name of its folder or file before it: another file has the"
        " shorter id",
    ]
    assert stlib("index", "guides", tmp_path)[2] == ""
    (tmp_path / "moved").mkdir()
    moved = (tmp_path / "bob").rename(tmp_path / "moved" / "bob")
    (moved / "guide.txt").write_text("a guide by bob, moved")
    code, out, err = stlib("index", "guides", moved)
    assert code == 0 and "0 added, 1 updated" in out
    assert err.splitlines() == [
        "stlib: note: 1 document replaced, as if the folder had been moved: the file it came from is gone",
        f"stlib: note: bob/guide.txt was replaced by {moved}/guide.txt: its file was gone",
    ]


def test_without_a_command_the_help_is_shown(stlib):
    code, out, err = stlib()
    assert (code, out) == (2, "")
    assert err.startswith(
        "Usage: stlib [OPTIONS] COMMAND [ARGS]...\n\n  Search your own documents by meaning.\n"
    )


def test_a_folder_in_which_nothing_can_be_read_is_a_failure(stlib, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"png")
    code, _, err = stlib("index", "notes", folder)
    assert (code, err) == (1, "stlib: nothing could be indexed; collection 'notes' was not made\n")
