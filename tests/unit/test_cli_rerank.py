"""`stlib search --rerank` as a shell runs it, with a real cross-encoder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from indexing import Collection

ROOT = Path(__file__).resolve().parents[2]
QUESTION = "why do bakers use yeast"
TEXTS = {
    "why": "Why is it called dough? Why do people ask why? Bakers rise early.",
    "flat": "Without yeast the dough stays flat: matzo and tortillas are baked at once.",
    "rise": "Yeast turns sugar into gas, and the bubbles lift the dough before it bakes.",
}


@pytest.fixture
def bakery(home):
    with Collection.create("bakery", home=home) as collection:
        collection.add({"id": id_, "text": text} for id_, text in TEXTS.items())
        yield collection


def search(home, *arguments):
    """Exit code, stdout and stderr of a search for the question."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from app.cli import main; main()",
            "search",
            "bakery",
            QUESTION,
            *map(str, arguments),
        ],
        env={**os.environ, "STLIB_HOME": str(home), "COLUMNS": "100", "HF_HUB_OFFLINE": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


def summary_lines(results):
    """The line of id and score that stands below each result."""
    return [f"{result.id} · {result.score:.3f}" for result in results]


def printed_summary_lines(out):
    return [
        line.strip() for line in out.splitlines() if line.strip().startswith(tuple(f"{i} ·" for i in TEXTS))
    ]


def test_explain_tells_what_the_reranker_said(home, bakery, ms_marco):
    expected = bakery.search(QUESTION, rerank=ms_marco).results
    assert [result.id for result in expected] != [result.id for result in bakery.search(QUESTION).results]
    code, out, err = search(home, "--rerank", ms_marco, "--explain")
    assert (code, err) == (0, "")
    assert printed_summary_lines(out) == summary_lines(expected)
    words = " ".join(out.split())
    for result in expected:
        parts = result.parts
        assert (
            f"{result.score:.3f} = by reading {parts['rerank_share']:.3f} ({parts['rerank']:.3f}, rank "
            f"{parts['rerank_rank']}) + by retrieval {parts['retrieval_share']:.3f} "
            f"({parts['retrieval']:.3f}, rank {parts['retrieval_rank']}); "
            f"{parts['retrieval']:.3f} = by meaning "
        ) in words
    assert "; 3 documents reranked" in words
    assert "a score adds up reading (weight 0.6) and retrieval (weight 0.4), each by its spread over" in words


def test_a_folder_without_a_model_leaves_the_answer(home, bakery, tmp_path):
    folder = tmp_path / "no model"
    folder.mkdir()
    code, out, err = search(home, "--rerank", folder)
    assert code == 0
    assert printed_summary_lines(out) == summary_lines(bakery.search(QUESTION).results)
    assert out.rstrip().endswith("; not reranked: the reranker failed")
    assert err.startswith(f"stlib: note: not reranked: reranker '{folder}' cannot be loaded: ")
    assert "Traceback" not in err
