"""Losses with negatives from the batch: value, gradients and configuration equal to the reference's."""

from __future__ import annotations

import pytest
import torch

from stlib.errors import InvalidInput, InvalidOption
from stlib.losses import GISTEmbedLoss, MegaBatchMarginLoss, MultipleNegativesRankingLoss

pytestmark = pytest.mark.parity

COLUMNS = [
    "how do i sort a list|the quick fox|search|a short text|lazy dog ?|the answer is long|in it|key",
    "sort the list by key|a brown dog jumps|search is by words|text|the dog|only the answer|query|the key",
    "a dictionary|fox|the meaning of a query , and of words|it|quick !|a question is short|documents|no key",
    "how|jumps over the lazy brown dog|by|is it text ?|the the|long answer|with words|a document . and a key",
]
EVERY_DIRECTION = ("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc")
DIRECTIONS = [
    {},
    {"directions": ["query_to_doc", "query_to_query"]},
    {"directions": ("query_to_doc", "doc_to_query")},
    {"directions": ("doc_to_doc", "query_to_doc")},
    {"directions": EVERY_DIRECTION},
    {"partition_mode": "per_direction"},
    {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction"},
]
HARDNESS = [
    {"hardness_mode": mode, "hardness_strength": 5.0}
    for mode in ("in_batch_negatives", "hard_negatives", "all_negatives")
]


def columns(rows: int, n: int) -> list[list[str]]:
    return [texts.split("|")[:rows] for texts in COLUMNS[:n]]


@pytest.fixture
def dropping(loss_models):
    """The models as they are trained, with a dropout of 0.1."""
    for model in loss_models:
        model.train()
    yield
    for model in loss_models:
        model.eval()


# -- ranking


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("rows", [1, 3, 8])
@pytest.mark.parametrize("options", DIRECTIONS, ids=str)
def test_directions_and_partitions(same_loss, rows, n, options):
    same_loss(
        lambda losses, util, model: losses.MultipleNegativesRankingLoss(model, **options), columns(rows, n)
    )


@pytest.mark.parametrize("n", [2, 4])
@pytest.mark.parametrize("options", HARDNESS, ids=str)
@pytest.mark.parametrize("directions", [("query_to_doc",), EVERY_DIRECTION])
def test_hardness(same_loss, n, options, directions):
    same_loss(
        lambda losses, util, model: losses.MultipleNegativesRankingLoss(
            model, directions=directions, **options
        ),
        columns(8, n),
    )


@pytest.mark.parametrize("scale", [1.0, 50.0])
@pytest.mark.parametrize("name", ["dot_score", "cos_sim", "euclidean_sim", "manhattan_sim"])
def test_scale_and_similarity(same_loss, scale, name):
    same_loss(
        lambda losses, util, model: losses.MultipleNegativesRankingLoss(model, scale, getattr(util, name)),
        columns(3, 3),
    )


@pytest.mark.usefixtures("dropping")
@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("options", [DIRECTIONS[0], DIRECTIONS[4], HARDNESS[0]], ids=str)
def test_ranking_with_dropout(same_loss, n, options):
    """Columns are embedded in the same passes, so that the same numbers are drawn."""
    same_loss(
        lambda losses, util, model: losses.MultipleNegativesRankingLoss(model, **options),
        columns(8, n),
        seed=3,
    )


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.filterwarnings("ignore:.*SymmetricRankingLoss:DeprecationWarning")
def test_symmetric(same_loss, n):
    same_loss(
        lambda losses, util, model: losses.MultipleNegativesSymmetricRankingLoss(model, 10.0, util.dot_score),
        columns(3, n),
    )


def test_default_is_cross_entropy_over_documents(loss_models):
    torch.manual_seed(2)
    anchors, positives, negatives = torch.randn(3, 5, 4)
    cosines = (
        torch.nn.functional.normalize(anchors)
        @ torch.nn.functional.normalize(torch.cat([positives, negatives])).T
    )
    expected = torch.nn.functional.cross_entropy(20 * cosines, torch.arange(5))
    loss = MultipleNegativesRankingLoss(loss_models[0])
    torch.testing.assert_close(loss.compute_loss_from_embeddings([anchors, positives, negatives]), expected)
    assert loss.temperature == pytest.approx(0.05)


@pytest.mark.parametrize("options", [DIRECTIONS[4], DIRECTIONS[6]], ids=str)
def test_ranking_by_finite_differences(loss_models, options):
    torch.manual_seed(4)
    embeddings = [torch.randn(4, 3, dtype=torch.double, requires_grad=True) for _ in range(3)]
    loss = MultipleNegativesRankingLoss(loss_models[0], scale=2.0, **options)
    assert torch.autograd.gradcheck(lambda *given: loss.compute_loss_from_embeddings(list(given)), embeddings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0}, "scale is 0"),
        ({"directions": ()}, "pass a tuple"),
        ({"directions": "query_to_doc"}, "pass a tuple"),
        ({"directions": ("query_to_doc", "sideways")}, "query_to_query"),
        ({"directions": ("doc_to_query",)}, "has to be among them"),
        ({"partition_mode": "none"}, "'joint' or 'per_direction'"),
        ({"partition_mode": "per_direction", "directions": EVERY_DIRECTION}, "partition_mode='joint'"),
        ({"hardness_mode": "soft"}, "in_batch_negatives"),
        ({"hardness_strength": -1.0}, "must not be negative"),
    ],
)
def test_refused_options(loss_models, reference, options, message):
    with pytest.raises(InvalidOption, match=message):
        MultipleNegativesRankingLoss(loss_models[0], **options)
    from sentence_transformers.sentence_transformer import losses

    with pytest.raises(ValueError):
        losses.MultipleNegativesRankingLoss(loss_models[1], **options)


def test_hardness_without_strength_is_told(loss_models, caplog):
    MultipleNegativesRankingLoss(loss_models[0], hardness_mode="all_negatives")
    assert "hardness_strength is 0" in caplog.text


@pytest.mark.parametrize("loss", [MultipleNegativesRankingLoss, MegaBatchMarginLoss])
def test_one_column_is_too_few(loss_models, loss):
    with pytest.raises(InvalidInput, match="got 1"):
        loss(loss_models[0])([loss_models[0].preprocess(["a"])])


@pytest.mark.parametrize("options", [{}, *DIRECTIONS[4:5], *DIRECTIONS[6:]], ids=str)
def test_citations(loss_models, options):
    from sentence_transformers.sentence_transformer import losses

    ours = MultipleNegativesRankingLoss(loss_models[0], **options)
    theirs = losses.MultipleNegativesRankingLoss(loss_models[1], **options)
    assert ours.citation.split() == theirs.citation.split()


# -- margins


@pytest.mark.parametrize("rows", [1, 3, 8])
@pytest.mark.parametrize("options", [{}, {"positive_margin": 1.0, "negative_margin": -0.5}], ids=str)
def test_mega_batch_margin(same_loss, rows, options):
    same_loss(
        lambda losses, util, model: losses.MegaBatchMarginLoss(
            model, use_mini_batched_version=False, **options
        ),
        columns(rows, 2),
    )


def test_mega_batch_margin_by_finite_differences(loss_models):
    torch.manual_seed(4)
    embeddings = [torch.randn(5, 3, dtype=torch.double, requires_grad=True) for _ in range(2)]
    loss = MegaBatchMarginLoss(loss_models[0], 1.0, -1.0, use_mini_batched_version=False)
    assert torch.autograd.gradcheck(lambda *given: loss.calculate_loss([[c] for c in given]), embeddings)


# -- a guide

GUIDED = [
    {},
    {"temperature": 0.05},
    {"contrast_anchors": False},
    {"contrast_positives": False},
    {"contrast_anchors": False, "contrast_positives": False},
    {"margin": 0.1},
    {"margin": -0.1},
    {"margin": 0.05, "margin_strategy": "relative"},
    {"margin": -0.2, "margin_strategy": "relative"},
]


@pytest.fixture(scope="module")
def guides(reference, loss_models, tmp_path_factory):
    """A guide of each library with other weights and the same tokenizer."""
    from stlib import SentenceTransformer

    folder = tmp_path_factory.mktemp("guide")
    loss_models[0].save(str(folder))
    ours = SentenceTransformer(str(folder), device="cpu").eval()
    torch.manual_seed(8)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    ours.save(str(folder))
    return ours, reference.SentenceTransformer(str(folder), device="cpu").eval()


def guide_of(guides, losses):
    return guides[0] if losses.__name__.startswith("stlib") else guides[1]


@pytest.mark.parametrize(("rows", "n"), [(1, 3), (3, 2), (3, 3), (8, 2), (8, 3)])
@pytest.mark.parametrize("options", GUIDED, ids=str)
def test_gist(same_loss, guides, rows, n, options):
    same_loss(
        lambda losses, util, model: losses.GISTEmbedLoss(model, guide_of(guides, losses), **options),
        columns(rows, n),
    )


def test_gist_with_equal_texts(same_loss, guides):
    """What the guide finds as similar as the positive, and not more, stays a negative."""
    anchors, positives = columns(3, 2)
    same_loss(
        lambda losses, util, model: losses.GISTEmbedLoss(model, guide_of(guides, losses)),
        [anchors + anchors, positives + positives],
    )


@pytest.mark.usefixtures("dropping")
@pytest.mark.parametrize("n", [2, 3])
def test_gist_with_dropout(same_loss, guides, n):
    same_loss(
        lambda losses, util, model: losses.GISTEmbedLoss(model, guide_of(guides, losses)),
        columns(8, n),
        seed=3,
    )


def test_gist_takes_any_number_of_negatives(loss_models, guides):
    """The reference takes one in this form, and any number in the cached form."""
    ours = loss_models[0]
    features = [ours.preprocess(texts) for texts in columns(8, 4)]
    from stlib.losses import CachedGISTEmbedLoss

    plain = GISTEmbedLoss(ours, guides[0])(features)
    torch.testing.assert_close(plain, CachedGISTEmbedLoss(ours, guides[0], mini_batch_size=3)(features))


@pytest.fixture(scope="module")
def foreign_guides(reference, tmp_path_factory):
    """A guide whose tokenizer knows letters only."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    from stlib import SentenceTransformer

    folder = tmp_path_factory.mktemp("foreign")
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    file = folder / "tokenizer.json"
    BertWordPieceTokenizer(vocab, lowercase=True).save(str(file))
    BertTokenizerFast(tokenizer_file=str(file), model_max_length=64).save_pretrained(folder)
    torch.manual_seed(9)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        initializer_range=0.3,
    )
    BertModel(config).save_pretrained(folder)
    return (
        SentenceTransformer(str(folder), device="cpu").eval(),
        reference.SentenceTransformer(str(folder), device="cpu").eval(),
    )


@pytest.mark.parametrize("name", ["GISTEmbedLoss", "CachedGISTEmbedLoss"])
def test_guide_with_another_tokenizer(same_loss, foreign_guides, name):
    def make(losses, util, model):
        loss = getattr(losses, name)(model, guide_of(foreign_guides, losses))
        assert loss.must_retokenize
        return loss

    same_loss(make, columns(8, 3))


def test_guide_that_reads_less(loss_models, guides):
    guides[0].max_seq_length = 8
    try:
        assert GISTEmbedLoss(loss_models[0], guides[0]).must_retokenize
    finally:
        guides[0].max_seq_length = 64
    assert not GISTEmbedLoss(loss_models[0], guides[0]).must_retokenize


def test_guide_gets_no_gradients(loss_models, guides):
    loss = GISTEmbedLoss(loss_models[0], guides[0])
    loss([loss_models[0].preprocess(texts) for texts in columns(3, 2)]).backward()
    assert all(parameter.grad is None for parameter in guides[0].parameters())


def test_gist_refuses(loss_models, guides, static_models):
    with pytest.raises(InvalidOption, match="'absolute' or 'relative'"):
        GISTEmbedLoss(loss_models[0], guides[0], margin_strategy="none")
    with pytest.raises(InvalidOption, match="the guide has a tokenizer of type Tokenizer"):
        GISTEmbedLoss(loss_models[0], static_models[0])


# -- models of other kinds


@pytest.fixture(scope="module")
def static_models(reference, tiny_bert, tmp_path_factory):
    from tokenizers import Tokenizer

    from stlib import SentenceTransformer
    from stlib.models import StaticEmbedding

    folder = str(tmp_path_factory.mktemp("static"))
    torch.manual_seed(5)
    module = StaticEmbedding(Tokenizer.from_file(f"{tiny_bert}/tokenizer.json"), embedding_dim=16)
    SentenceTransformer(modules=[module], device="cpu").save(folder)
    return SentenceTransformer(folder, device="cpu"), reference.SentenceTransformer(folder, device="cpu")


@pytest.fixture(scope="module")
def routed_models(reference, tiny_bert, tmp_path_factory):
    """Queries and documents by different transformers."""
    from stlib import SentenceTransformer
    from stlib.models import Pooling, Router, Transformer

    folder = str(tmp_path_factory.mktemp("routed"))
    query, document = Transformer(tiny_bert), Transformer(tiny_bert)
    with torch.no_grad():
        for parameter in document.parameters():
            parameter.mul_(0.7)
    routes = [query, Pooling(32, "cls")], [document, Pooling(32, "mean")]
    SentenceTransformer(modules=[Router.for_query_document(*routes)], device="cpu").save(folder)
    return (
        SentenceTransformer(folder, device="cpu").eval(),
        reference.SentenceTransformer(folder, device="cpu").eval(),
    )


@pytest.mark.parametrize("n", [2, 4])
@pytest.mark.parametrize("options", [DIRECTIONS[0], DIRECTIONS[4], HARDNESS[2]], ids=str)
def test_static_embedding(same_loss, static_models, n, options):
    type(same_loss)(*static_models)(
        lambda losses, util, model: losses.MultipleNegativesRankingLoss(model, **options), columns(8, n)
    )


def routed(rows: int, n: int) -> list[list[dict[str, str]]]:
    tasks = ["query"] + ["document"] * (n - 1)
    return [[{task: text} for text in texts] for task, texts in zip(tasks, columns(rows, n), strict=True)]


@pytest.mark.parametrize("n", [2, 4])
@pytest.mark.parametrize("name", ["MultipleNegativesRankingLoss", "CachedMultipleNegativesRankingLoss"])
def test_routes_of_queries_and_documents(same_loss, routed_models, n, name):
    type(same_loss)(*routed_models)(
        lambda losses, util, model: getattr(losses, name)(model, directions=EVERY_DIRECTION), routed(8, n)
    )
