"""What the commands about feedback print."""

from __future__ import annotations

import json

import pytest

from app.facade.who import login_name
from app.feedback.table import read_impressions, read_sayings

from .conftest import HONEY


@pytest.fixture
def answer(stlib, animals):
    """The JSON of a search on the command line."""
    return json.loads(stlib("search", "animals", HONEY, "--filter", "legs > 1", "--json")[1])


def test_a_search_is_kept_and_prints_nothing_more(stlib, animals, place, answer):
    [kept] = read_impressions(place)
    assert (kept.id, kept.query, kept.filter, kept.k) == (answer["id"], HONEY, "legs > 1", 10)
    assert (kept.who, kept.surface, kept.seed) == (login_name(), "cli", login_name())
    assert [one.document for one in kept.shown] == [one["id"] for one in answer["results"]]
    code, out, err = stlib("search", "animals", HONEY, "-k", "1")
    assert (code, err) == (0, "") and out.splitlines()[0] == "1. bee" and len(out.splitlines()) == 5
    assert len(read_impressions(place)) == 2


def test_judging(stlib, animals, place, answer):
    kept = "kept: {} has grade {} for this question\n"
    assert stlib("feedback", "judge", "animals", HONEY, "bee", "--answer") == (0, kept.format("bee", 3), "")
    assert stlib("feedback", "judge", "animals", HONEY, "dog", "--grade", 2) == (0, kept.format("dog", 2), "")
    none = stlib("feedback", "judge", "animals", HONEY, "--none", "--of", answer["id"])
    shown = ", ".join(one["id"] for one in answer["results"])
    assert none == (0, kept.format(shown, 0), "")
    assert stlib("feedback", "judge", "animals", HONEY, "bee", "--undo") == (0, "taken back\n", "")
    said = json.loads(stlib("feedback", "judge", "animals", HONEY, "make honey", "--pasted", "--json")[1])
    assert (said["document"], said["grade"], said["who"]) == ("bee", 3, login_name())
    assert [one.kind for one in read_sayings(place)] == ["answer", "grade", "none", "undo", "pasted"]


@pytest.mark.parametrize("options", [[], ["--up", "--grade", "1"]])
def test_judging_needs_one_word(stlib, animals, options):
    code, out, err = stlib("feedback", "judge", "animals", HONEY, "bee", *options)
    assert (code, out) == (2, "") and err.startswith("stlib: say it by one of --grade, --up, --down")


def test_import_export_status_and_erase(stlib, animals, place, tmp_path):
    path = tmp_path / "judged.csv"
    path.write_text("question,document,grade\nguards,dog,2\nguards,yeti,1\nguards,cat,high\n")
    assert stlib("feedback", "import", "animals", path) == (
        0,
        "judged.csv: 1 question; judgments: 2 added, 0 changed, 0 already there\n",
        "stlib: 1 documents that are not in the collection (kept: they may come): yeti\n"
        f"stlib: left out: {path}, line 4: grade 'high': give a whole number\n",
    )
    assert json.loads(stlib("feedback", "import", "animals", path, "--json")[1])["unchanged"] == 2
    folder = tmp_path / "out"
    assert stlib("feedback", "export", "animals", folder, "--format", "trec") == (
        0,
        f"{folder}: 1 question, 2 judgments\n",
        "",
    )
    assert (folder / "topics.tsv").read_text().endswith("\tguards\n")
    [line, _] = stlib("feedback", "export", "animals")[1].splitlines()
    assert json.loads(line)["what"] == "saying" and json.loads(line)["document"] == "dog"
    assert stlib("feedback", "status", "animals")[1].splitlines() == [
        "  searches    0, with 0 clicks",
        "  judgments   2 for 1 question",
        "  people      1",
        "  said        import 2",
        "  log         searches are kept for 365 days",
    ]
    assert stlib("feedback", "erase", "animals", "--document", "dog", "--yes")[1].startswith(
        "erased: 0 searches, 0 clicks, 1 saying\nnot reached: backups"
    )
    assert [one.document for one in read_sayings(place)] == ["yeti"]
    assert stlib("feedback", "erase", "animals", "--yes")[0] == 2


def test_replaying(stlib, animals, answer):
    id_ = answer["id"]
    assert stlib("replay", id_) == (
        0,
        f"{HONEY} (animals, hybrid)\nthe same answer: {len(answer['results'])} documents in the same order\n",
        "",
    )
    animals.delete(["bee"])
    code, out, _ = stlib("replay", id_[:10])
    assert code == 3
    assert out.splitlines()[1:5] == [
        f"another answer: {len(answer['results'])} documents elsewhere",
        "  since then: 1 of the documents was deleted",
        "  since then: the collection took 1 change",
        "  1 → – bee (deleted since)",
    ]
    code, out, _ = stlib("replay", id_, "--json")
    assert (code, json.loads(out)["differences"][0]["document"]) == (3, "bee")
    assert stlib("replay", "0000")[0] == 1
