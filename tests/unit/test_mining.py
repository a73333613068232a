"""Mined negatives against a plain loop over all documents; what is refused, and what is printed."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stlib.errors import InvalidInput, MissingDependency
from stlib.util import mine_hard_negatives

datasets = pytest.importorskip("datasets", reason="run: pip install '.[train]'")


class Line:
    """Texts are numbers, and the similarity of two is how near they are (on an arc of the unit circle)."""

    def encode_query(self, texts, **options):
        angles = np.array([float(text.split()[-1]) for text in texts]) / 100
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    encode_document = encode_query


def near(a, b):
    """The similarity of two texts."""
    return float(np.cos((float(a.split()[-1]) - float(b.split()[-1])) / 100))


def table(rows):
    return datasets.Dataset.from_dict({"q": [f"q {a}" for a, _ in rows], "p": [f"p {b}" for _, b in rows]})


def mine(rows, **options):
    return mine_hard_negatives(table(rows), Line(), verbose=False, **options)


def expected_triplets(rows, corpus, margin, share, highest, lowest, first, last, n):
    """The definition, written as loops."""
    documents = list(dict.fromkeys([*corpus, *(f"p {b}" for _, b in rows)]))
    found = []
    for anchor in dict.fromkeys(a for a, _ in rows):
        query = f"q {anchor}"
        positives = list(dict.fromkeys(f"p {b}" for a, b in rows if a == anchor))
        worst = min(near(query, p) for p in positives)
        ranked = sorted(documents, key=lambda d: -near(query, d))
        left = [
            d
            for d in ranked
            if d not in positives
            and near(query, d) + margin <= worst
            and near(query, d) <= worst - abs(worst) * share
            and lowest <= near(query, d) <= highest
        ]
        found += [(query, p, d) for p in positives for d in left[first:last][:n]]
    return found


# Odd anchors and even documents: no two documents are equally near to an anchor.
anchors = st.integers(0, 20).map(lambda i: 6 * i)
answers = st.integers(0, 60).map(lambda i: 2 * i + 7 * (i % 3) / 10 + i / 100)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(anchors, answers), min_size=1, max_size=12),
    extra=st.lists(answers, max_size=8),
    margin=st.sampled_from([0.0, 0.01, 0.1]),
    share=st.sampled_from([0.0, 0.05, 0.2]),
    highest=st.sampled_from([0.9, 0.999, 2.0]),
    lowest=st.sampled_from([-1.0, 0.5]),
    first=st.integers(0, 3),
    width=st.integers(3, 20),
    n=st.integers(1, 3),
    block=st.integers(1, 5),
)
def test_triplets_equal_a_loop(rows, extra, margin, share, highest, lowest, first, width, n, block):
    corpus = [f"p {b}" for b in extra]
    found = mine(
        rows,
        corpus=corpus,
        absolute_margin=margin,
        relative_margin=share,
        max_score=highest,
        min_score=lowest,
        range_min=first,
        range_max=100,
        num_negatives=n,
        faiss_batch_size=block,
    )
    expected = expected_triplets(rows, corpus, margin, share, highest, lowest, first, 100, n)
    # Candidates within rounding of a limit may fall on either side of it.
    limits = {"near": 1e-5}
    doubtful = {
        row for row in {*expected, *_rows(found)} if _at_a_limit(row, rows, margin, share, highest, lowest)
    }
    if not doubtful:
        assert _rows(found) == expected, limits


def _rows(dataset):
    return list(zip(dataset["q"], dataset["p"], dataset["negative"], strict=True)) if len(dataset) else []


def _at_a_limit(row, rows, margin, share, highest, lowest):
    query, _, negative = row
    worst = min(near(query, f"p {b}") for a, b in rows if f"q {a}" == query)
    score = near(query, negative)
    edges = (worst - margin, worst - abs(worst) * share, highest, lowest)
    return any(abs(score - edge) < 1e-5 for edge in edges)


def test_positives_are_never_negatives():
    rows = [(10, 10), (10, 12), (10, 10), (50, 12), (50, 51)]
    found = mine(rows, corpus=["p 12", "p 10", "p 89"], num_negatives=4)
    positives = {(f"q {a}", f"p {b}") for a, b in rows}
    assert _rows(found) == [
        ("q 10", "p 10", "p 51"),
        ("q 10", "p 10", "p 89"),
        ("q 10", "p 12", "p 51"),
        ("q 10", "p 12", "p 89"),
        ("q 50", "p 12", "p 89"),
        ("q 50", "p 12", "p 10"),
        ("q 50", "p 51", "p 89"),
        ("q 50", "p 51", "p 10"),
    ]
    assert not positives & {(q, n) for q, _, n in _rows(found)}


def test_random_negatives_are_candidates_and_repeat_by_seed():
    rows = [(i, i) for i in range(0, 100, 7)]
    runs = []
    for seed in (1, 1, 2):
        random.seed(seed)
        runs.append(_rows(mine(rows, sampling_strategy="random", range_min=1, range_max=6, num_negatives=2)))
    assert runs[0] == runs[1] != runs[2]
    for query in {q for q, _, _ in runs[0]}:
        own = query.replace("q", "p")
        ranked = sorted((f"p {b}" for _, b in rows), key=lambda d: -near(query, d))
        ranked.remove(own)
        chosen = [n for q, _, n in runs[0] if q == query]
        assert len(set(chosen)) == 2
        assert {ranked.index(n) for n in chosen} <= set(range(1, 6))


def test_equal_scores_come_in_the_order_of_the_documents():
    found = mine([(0, 0)], corpus=["p 5", "p -5", "b 5", "c -5"], num_negatives=4)
    assert found["negative"][:] == ["p 5", "p -5", "b 5", "c -5"]


class Broken(Line):
    """Has no vector for texts that say so."""

    def encode_query(self, texts, **options):
        vectors = super().encode_query(texts)
        vectors[[text.startswith("broken") for text in texts]] = np.nan
        return vectors

    encode_document = encode_query


@pytest.mark.parametrize("use_faiss", [False, True])
@pytest.mark.parametrize("options", [{}, {"max_score": 0.99}, {"relative_margin": 0.01}], ids=str)
def test_documents_without_a_vector_are_never_negatives(options, use_faiss, caplog):
    if use_faiss:
        pytest.importorskip("faiss", reason="run: pip install faiss-cpu")
    corpus = [*(f"broken {i}" for i in range(50)), "p 40", "p 50"]
    found = mine_hard_negatives(
        table([(0, 0)]), Broken(), corpus=corpus, use_faiss=use_faiss, verbose=False, **options
    )
    assert found["negative"][:] == ["p 40", "p 50"]
    assert "50 of 53 documents" in caplog.text


def test_scores_of_positives_must_be_numbers():
    data = datasets.Dataset.from_dict({"q": ["q 1", "q 2"], "p": ["p 1", "broken 2"]})
    with pytest.raises(InvalidInput, match="1 of 2 positives are nan, such as that of 'q 2' with 'broken 2'"):
        mine_hard_negatives(data, Broken(), verbose=False)
    data = datasets.Dataset.from_dict({"q": ["q 1"], "p": ["broken 2"]})
    with pytest.raises(InvalidInput, match="all documents"):
        mine_hard_negatives(data, Broken(), verbose=False)


def test_a_cross_encoder_without_numbers_gives_no_negatives():
    class Undecided:
        def predict(self, pairs, **options):
            return torch.tensor([torch.nan if b.startswith("none") else float(b[2:]) for _, b in pairs])

    corpus = ["none 1", "p -3", "none 2"]
    found = mine([(0, 0)], corpus=corpus, cross_encoder=Undecided(), max_score=9.0)
    assert found["negative"][:] == ["p -3"]


@pytest.mark.parametrize("name", ["cosine", "dot", "euclidean", "manhattan"])
def test_faiss_finds_what_exact_search_finds(name):
    pytest.importorskip("faiss", reason="run: pip install faiss-cpu")

    class Directions:
        similarity_fn_name = name

        def encode_query(self, texts, **options):
            rows = [np.random.default_rng(list(text.encode())).standard_normal(24) for text in texts]
            return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)

        encode_document = encode_query

    data, corpus = table([(i, i) for i in range(60)]), [f"c {i}" for i in range(300)]
    found = [
        mine_hard_negatives(data, Directions(), corpus=corpus, use_faiss=use, verbose=False, num_negatives=2)
        for use in (False, True)
    ]
    assert _rows(found[0]) == _rows(found[1])


def test_faiss_is_refused_for_an_unknown_similarity():
    pytest.importorskip("faiss", reason="run: pip install faiss-cpu")

    class Own(Line):
        similarity = similarity_pairwise = staticmethod(lambda a, b: a @ b.T)

    with pytest.raises(ValueError, match="use_faiss=True needs a model whose similarity is one of cosine"):
        mine_hard_negatives(table([(0, 0), (1, 1)]), Own(), use_faiss=True, verbose=False)


def test_an_anchor_is_not_its_own_negative():
    data = datasets.Dataset.from_dict({"q": ["a 0", "b 10"], "p": ["b 10", "a 0"]})
    options = {"corpus": ["c 3", "d 12", "e 90"], "num_negatives": 2, "verbose": False}
    assert _rows(mine_hard_negatives(data, Line(), **options)) == [
        ("a 0", "b 10", "c 3"),
        ("a 0", "b 10", "d 12"),
        ("b 10", "a 0", "d 12"),
        ("b 10", "a 0", "c 3"),
    ]
    # As many candidates are looked at as for an anchor that is no document.
    found = mine_hard_negatives(data, Line(), range_max=2, **options)
    assert found["negative"][:] == ["c 3", "d 12", "d 12", "c 3"]
    # A positive that is the anchor itself stays one where positives are kept.
    data = datasets.Dataset.from_dict({"q": ["a 0", "b 10"], "p": ["a 0", "c 3"]})
    found = mine_hard_negatives(data, Line(), include_positives=True, num_negatives=2, verbose=False)
    assert found.to_dict()["negative_1"] == ["a 0", "c 3"]


def test_a_cached_archive_is_made_again(tmp_path, caplog):
    class Weighted(Line):
        def state_dict(self):
            return {"weight": torch.ones(1)}

    options = {"cache_folder": str(tmp_path), "verbose": False}
    data = table([(0, 0), (5, 6), (9, 8)])
    first = _rows(mine_hard_negatives(data, Weighted(), **options))
    for path in list(tmp_path.glob("query*")):
        with path.open("wb") as file:
            np.savez(file, a=np.zeros((3, 2)))
    assert _rows(mine_hard_negatives(data, Weighted(), **options)) == first
    assert caplog.text.count("holds no single array; the texts are encoded again") == 1


class Longest:
    """Prefers long texts; has one score per pair, or two."""

    def __init__(self, scores=1):
        self.scores = scores

    def predict(self, pairs, batch_size=32, convert_to_tensor=False):
        values = torch.tensor([float(len(b)) for _, b in pairs])
        return values if self.scores == 1 else torch.stack([values, values], dim=1)


def test_a_cross_encoder_ranks_and_filters():
    corpus = ["long text 1", "the longest text 2", "longer text 3", "p 4"]
    options = {"corpus": corpus, "cross_encoder": Longest(), "output_scores": True, "num_negatives": 2}
    found = mine([(0, 0)], max_score=15, **options)
    assert found["negative"][:] == ["longer text 3", "long text 1"]
    assert found["scores"][:] == [[3, 13], [3, 11]]
    # Without a limit it is not asked.
    assert mine([(0, 0)], **options)["negative"][:] == ["long text 1", "the longest text 2"]
    with pytest.raises(InvalidInput, match=r"shape \(1, 2\) for 1 pairs"):
        mine([(0, 0)], cross_encoder=Longest(2), max_score=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_format": "pairs"}, "output_format is 'pairs'; use one of: 'triplet'"),
        ({"sampling_strategy": "best"}, "sampling_strategy is 'best'; use one of: 'random', 'top'"),
        ({"num_negatives": 0}, "num_negatives must be at least 1, but is 0"),
        ({"range_min": -1}, "range_min must be non-negative, but is -1"),
        ({"range_min": 3, "range_max": 3}, "range_min is 3 and range_max 3"),
        ({"range_min": 2, "range_max": 4}, "between range_min=2 and range_max=4 lie 2 candidates"),
        ({"faiss_batch_size": 0}, "faiss_batch_size must be a positive integer, but is 0"),
        ({"anchor_column_name": "query"}, "anchor_column_name is 'query'; the dataset has the columns q, p"),
        ({"positive_column_name": "x"}, "positive_column_name is 'x'"),
        ({"anchor_column_name": "p"}, "both read from 'p'"),
        ({"corpus": [["a"]]}, "must hold texts or other hashable values"),
    ],
)
def test_what_has_no_meaning_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        mine([(0, 0), (1, 1)], **options)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"q": [], "p": []}, {}, "the dataset is empty"),
        ({"q": ["a 1"]}, {}, "has the column 'q' only"),
        ({"q": ["a 1", None], "p": ["b 1", "b 2"]}, {}, "row 1 has nothing in column 'q'"),
        ({"q": ["a 1"], "negative": ["b 1"]}, {}, "has a column 'negative'"),
        ({"label": ["a 1"], "p": ["b 1"]}, {"output_format": "labeled-pair"}, "has a column 'label'"),
    ],
)
def test_datasets_that_cannot_be_mined_are_refused(columns, options, message):
    with pytest.raises(ValueError, match=message):
        mine_hard_negatives(datasets.Dataset.from_dict(columns), Line(), verbose=False, **options)


def test_several_splits_are_refused():
    with pytest.raises(InvalidInput, match="one split of a DatasetDict"):
        mine_hard_negatives(datasets.DatasetDict(train=table([(0, 0)])), Line())


@pytest.mark.parametrize(("package", "remedy"), [("datasets", "datasets"), ("faiss", "faiss-cpu")])
def test_missing_packages_are_named(monkeypatch, package, remedy):
    data = table([(0, 0)])
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependency, match=f"run: pip install {remedy}$"):
        mine_hard_negatives(data, Line(), use_faiss=True)


def test_the_report_counts(capsys):
    rows = [(0, 0), (0, 1), (40, 41)]
    mine_hard_negatives(table(rows), Line(), corpus=["p 20", "p 3"], max_score=0.99, num_negatives=3)
    printed = capsys.readouterr().out
    assert "2 different anchors with 3 positives, 1.500 each." in printed
    assert "range_max is 32." in printed
    # Anchor 0: 41 and 20 stay, 3 is too near; anchor 40: 0, 1, 3 and 20 stay.
    assert "max_score=0.99 skipped 1 candidates (14.29%)." in printed
    assert "Count               3              7" in printed
    assert "2 of 9 negatives (22.22%) could not be found" in printed
    mine_hard_negatives(table(rows), Line(), verbose=False)
    assert capsys.readouterr().out == ""


def test_older_names_say_what_to_write(caplog):
    mine([(0, 0), (1, 1)], as_triplets=True, margin=0.1, include_positives=True)
    assert "write output_format='triplet'" in caplog.text
    assert "write absolute_margin=0.1" in caplog.text
    assert "output_format becomes 'n-tuple'" in caplog.text


def test_nothing_found_is_an_empty_dataset(capsys):
    found = mine_hard_negatives(table([(0, 0), (1, 1)]), Line(), min_score=2.0)
    assert len(found) == 0
    assert found.column_names == ["q", "p", "negative"]
    assert "6 of 6 negatives (100.00%) could not be found" in capsys.readouterr().out


@pytest.mark.parametrize("output_scores", [False, True])
@pytest.mark.parametrize("output_format", ["triplet", "n-tuple", "labeled-pair", "labeled-list"])
def test_nothing_found_has_the_columns_of_something_found(output_format, output_scores):
    options = {"num_negatives": 1, "output_format": output_format, "output_scores": output_scores}
    nothing, something = (mine([(0, 0), (1, 1)], min_score=limit, **options) for limit in (2.0, -2.0))
    assert nothing.features == something.features
    assert len(datasets.concatenate_datasets([nothing, something])) == len(nothing) + len(something)
