"""MaxSim against its definition, whatever the lengths, masks, order and size of blocks."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stlib.multi_vector_encoder.modules import MultiVectorMask
from stlib.multi_vector_encoder.scoring import colbert_kd_scores, colbert_scores, xtr_scores
from stlib.util.late_interaction import EMPTY_DOCUMENT, maxsim, maxsim_pairwise
from stlib.util.token_rows import TokenRows

D = 3
quick = settings(deadline=None, max_examples=50)
lengths = st.lists(st.integers(0, 5), min_size=1, max_size=6)
seeds = st.integers(0, 10_000)
blocks = st.sampled_from([None, 1, 7, 40, 200])


def draw_texts(counts, seed):
    """Token vectors of whole numbers, so that sums are exact and equal tokens happen."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(-3, 4, (n, D), generator=generator).float() for n in counts]


def draw_masks(texts, seed):
    generator = torch.Generator().manual_seed(seed + 1)
    return [torch.rand(len(rows), generator=generator) < 0.6 for rows in texts]


def defined(query, document):
    """Sum over the query's tokens of the largest dot product with one of the document's."""
    if len(document) == 0:
        return EMPTY_DOCUMENT
    return float(sum(max(float(a @ b) for b in document) for a in query))


def table(queries, documents):
    return torch.tensor([[defined(a, b) for b in documents] for a in queries])


@quick
@given(lengths, lengths, seeds, blocks, st.booleans())
def test_lists_with_and_without_masks(of_queries, of_documents, seed, chunk_elements, masked):
    queries, documents = draw_texts(of_queries, seed), draw_texts(of_documents, seed + 5)
    masks = {}
    if masked:
        masks = {"a_mask": draw_masks(queries, seed), "b_mask": draw_masks(documents, seed + 5)}
    scores = maxsim(queries, documents, chunk_elements=chunk_elements, **masks)
    if masked:
        queries = [rows[kept] for rows, kept in zip(queries, masks["a_mask"], strict=True)]
        documents = [rows[kept] for rows, kept in zip(documents, masks["b_mask"], strict=True)]
    assert torch.equal(scores, table(queries, documents))
    counts = torch.tensor([[max(len(rows), 1)] for rows in queries])
    mean = maxsim(queries, documents, chunk_elements=chunk_elements, length_normalize=True)
    torch.testing.assert_close(mean, table(queries, documents) / counts)


@quick
@given(lengths, seeds, blocks)
def test_pairs_are_the_diagonal_of_all_pairs(counts, seed, chunk_elements):
    queries, documents = draw_texts(counts, seed), draw_texts(counts[::-1], seed + 5)
    scores = maxsim_pairwise(queries, documents, chunk_elements=chunk_elements)
    assert torch.equal(scores, maxsim(queries, documents).diagonal())


@quick
@given(lengths, lengths, seeds, st.randoms())
def test_the_order_of_texts_and_of_tokens_is_no_matter(of_queries, of_documents, seed, random):
    queries, documents = draw_texts(of_queries, seed), draw_texts(of_documents, seed + 5)
    order = random.sample(range(len(documents)), len(documents))
    moved = [documents[i][random.sample(range(len(documents[i])), len(documents[i]))] for i in order]
    assert torch.equal(maxsim(queries, moved), maxsim(queries, documents)[:, order])


@quick
@given(lengths, lengths, seeds, blocks)
def test_padded_tensors_score_as_lists(of_queries, of_documents, seed, chunk_elements):
    sides = draw_texts(of_queries, seed), draw_texts(of_documents, seed + 5)
    padded = [torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=9) for rows in sides]
    masks = [
        torch.arange(rows.shape[1]) < torch.tensor([[len(one)] for one in side])
        for rows, side in zip(padded, sides, strict=True)
    ]
    scores = maxsim(*padded, *masks, chunk_elements=chunk_elements)
    assert torch.equal(scores, table(*sides))
    # Rows of zeros are padding where there is no mask.
    zeros = [rows * mask.unsqueeze(2) for rows, mask in zip(padded, masks, strict=True)]
    bare = [[rows[rows.any(dim=1)] for rows in side] for side in sides]
    assert torch.equal(maxsim(*zeros, chunk_elements=chunk_elements), table(*bare))


@quick
@given(st.integers(1, 4), st.integers(1, 3), seeds, blocks)
def test_scores_of_losses_are_those_of_their_texts(n, n_ways, seed, chunk_elements):
    queries = torch.stack(draw_texts([2] * n, seed))
    documents = torch.stack(draw_texts([4] * (n * n_ways), seed + 5)).view(n, n_ways, 4, D)
    known = torch.rand(n, n_ways, 4, generator=torch.Generator().manual_seed(seed)) < 0.7
    kept = [rows[mask] for rows, mask in zip(documents.flatten(0, 1), known.flatten(0, 1), strict=True)]
    asked = torch.ones(n, 2)
    expected = table(queries, kept)
    options = {"queries_mask": asked, "documents_mask": known, "chunk_elements": chunk_elements}
    assert torch.equal(colbert_scores(queries, documents, **options), expected)
    own = torch.stack([expected[i, i * n_ways : (i + 1) * n_ways] for i in range(n)])
    assert torch.equal(colbert_kd_scores(queries, documents, **options), own)
    # A token that retrieves everything finds the best of each document.
    found = xtr_scores(queries, documents, top_k=99, **options)
    torch.testing.assert_close(
        found, torch.where(expected > EMPTY_DOCUMENT / 2, expected / 2, EMPTY_DOCUMENT)
    )


@quick
@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.lists(
                st.tuples(st.integers(0, 5), st.booleans(), st.booleans()), min_size=width, max_size=width
            ),
            min_size=1,
            max_size=3,
        )
    ),
    st.sampled_from([None, "query", "document"]),
    st.sets(st.integers(0, 5)),
    st.sets(st.sampled_from(["query", "document"])),
    st.none() | st.sets(st.integers(0, 5), min_size=1),
)
def test_a_token_counts_if_nothing_speaks_against_it(rows, task, skipped, tasks, kept):
    """``rows`` hold (id, is of the text, was added to the query) for each token."""
    mask = MultiVectorMask([str(i) for i in skipped], skiplist_tasks=sorted(tasks), keep_only_token_ids=kept)
    mask.resolve_with_tokenizer(Digits())
    ids, attended, added = torch.tensor(rows).unbind(2)
    features = {"input_ids": ids, "attention_mask": attended, "query_expansion_positions": added}
    found = mask(features, task=task)["attention_mask"].tolist()
    role = task or "document"
    expected = [
        [
            bool(there or (fill and task == "query"))
            and not (i in skipped and role in tasks)
            and not (kept is not None and task != "query" and i not in kept)
            for i, there, fill in row
        ]
        for row in rows
    ]
    assert found == expected


class Digits:
    """A tokenizer whose tokens are their ids."""

    def convert_tokens_to_ids(self, word):
        return int(word)


@quick
@given(lengths, seeds, st.data())
def test_texts_are_taken_with_their_last_token_repeated(counts, seed, data):
    texts = draw_texts([n + 1 for n in counts], seed)
    places = data.draw(st.lists(st.sampled_from(range(len(texts))), min_size=1, max_size=5))
    taken = TokenRows(texts).take(places, torch.device("cpu"))
    for row, place in zip(taken, places, strict=True):
        n = len(texts[place])
        assert torch.equal(row[:n], texts[place])
        assert torch.equal(row[n:], texts[place][-1:].expand(len(row) - n, D))


def test_a_document_without_tokens_is_told_once(caplog):
    from stlib.util import late_interaction

    late_interaction._tell_empty.cache_clear()
    for _ in range(2):
        maxsim([torch.ones(1, D)], [torch.ones(0, D)])
    assert caplog.text.count("has no token that counts") == 1


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True])
def test_sizes_of_blocks_are_whole_numbers_from_1_on(wrong):
    with pytest.raises(ValueError, match="chunk_elements"):
        maxsim(torch.ones(1, 1, D), torch.ones(1, 1, D), chunk_elements=wrong)
