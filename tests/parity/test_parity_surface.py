"""The model's documented properties and methods, one expression at a time, beside the reference."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping

import numpy as np
import pytest
import torch

import stlib
import stlib.models as our_modules
from stlib import SentenceTransformer, SimilarityFunction, errors

# The reference warns of every older name.
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore::FutureWarning")]

TEXTS = ["How do I sort a list?", "short", "the quick brown fox jumps over the lazy dog " * 3]


def build(library, folder, **options):
    return library.SentenceTransformer(folder, device="cpu", prompts={"query": "the query: "}, **options)


@pytest.fixture(scope="module")
def both(tiny_bert, reference):
    return build(stlib, tiny_bert), build(reference, tiny_bert)


@pytest.fixture(scope="module")
def routed(tiny_bert, reference):
    """Two routes, one named by its task and one by its modality."""
    theirs = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
    return tuple(
        library.SentenceTransformer(
            modules=[
                M.Router(
                    {
                        "query": [M.Transformer(tiny_bert), M.Pooling(32, "cls")],
                        "text": [M.Transformer(tiny_bert), M.Pooling(32, "max")],
                    },
                    allow_empty_key=False,
                )
            ],
            device="cpu",
        )
        for library, M in ((stlib, our_modules), (reference, theirs))
    )


def outcome(model, expression):
    """The value as plain arrays, or that it is an error of the user's."""
    try:
        value = eval(expression, {"m": model, "T": TEXTS, "np": np, "torch": torch})
    except (ValueError, TypeError, AttributeError) as error:
        return "refused", isinstance(error, ValueError)
    return "mapping" if isinstance(value, Mapping) else type(value).__name__, plain(value)


def plain(value):
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def same(a, b):
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        assert a == b


EXPRESSIONS = [
    # dimensions, by all their names
    "m.get_embedding_dimension()",
    "m.get_sentence_embedding_dimension()",
    "m[0].get_embedding_dimension()",
    "m[0].get_word_embedding_dimension()",
    "m[1].get_embedding_dimension()",
    "m[1].get_sentence_embedding_dimension()",
    # limits, tokenizers
    "m.get_max_seq_length()",
    "m.max_seq_length",
    "m[0].max_seq_length",
    "m.tokenizer(T, padding=True)['input_ids']",
    "m.processor is m.tokenizer",
    "m.tokenize(T)",
    "m.tokenize([('a', 'b'), ('sort', 'the list')])",
    "m.preprocess(T, prompt='the ')",
    "m.preprocess([])",
    # what it is
    "m.device",
    "m.dtype",
    "m.modalities",
    "m.supports('text')",
    "m.supports('image')",
    "m.supports(('image', 'text'))",
    "m.get_backend()",
    "sorted(m.get_model_kwargs())",
    "m.similarity_fn_name",
    "m.prompts",
    "m.default_prompt_name",
    "m.truncate_dim",
    "m.config.hidden_size",
    "m.transformers_model.config.num_hidden_layers",
    "len(m), [type(module).__name__ for module in m]",
    "m.is_singular_input('a'), m.is_singular_input(['a']), m.is_singular_input(np.array(['a']))",
    "m.is_singular_input({'text': 'a'}), m.is_singular_input([{'text': 'a'}])",
    "m.is_singular_input(('a', 'b')), m.is_singular_input([])",
    # encode
    "m.encode(sentences=T)",
    "m.encode(inputs=T)",
    "m.encode(T, 'query')",
    "m.encode(T, None, 'the ', 2)",
    "m.encode(T, 'query', None, 32, False, 'sentence_embedding', 'float32', True, False, 'cpu', True, 8)",
    "m.encode(np.array(T))",
    "m.encode({'text': T[0]})",
    "m.encode([{'text': text} for text in T])",
    "m.encode([('a', 'b'), ['sort', 'list']])",
    "m.encode(T, task='anything')",
    "m.encode_query(T, task='anything')",
    "m.encode(T, processing_kwargs={'text': {'max_length': 5, 'truncation': True}})",
    "m.encode(T, modality='text')",
    "m.encode(T, bogus=1)",
    "m.encode(T, prompt_name='none')",
    "m.encode({'bogus': 'a'})",
    "m.encode([{'text': 'a', 'bogus': 'b'}])",
    "m.encode(T, precision='int4')",
    "m.encode(T, output_value='sentence_embedding', convert_to_numpy=False)",
    "m.encode(T, output_value='token_embeddings')",
    "m.encode(T[0], output_value=None)",
    # similarity
    "m.similarity(m.encode(T), m.encode(T[:2]))",
    "m.similarity(m.encode(T[0]), m.encode(T[1]))",
    "m.similarity(m.encode(T, convert_to_tensor=True), m.encode(T))",
    "m.similarity(list(m.encode(T)), list(m.encode(T, convert_to_numpy=False)))",
    "m.similarity_pairwise(m.encode(T), m.encode(T[::-1]))",
    "m.similarity_pairwise(m.encode(T[0]), m.encode(T[1]))",
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expression(both, expression):
    ours, theirs = (outcome(model, expression) for model in both)
    assert ours[0] == theirs[0]
    same(ours[1], theirs[1])


@pytest.mark.parametrize(
    "expression",
    [
        "sorted(m.get_model_kwargs())",
        "m.get_embedding_dimension()",
        "m.max_seq_length",
        "m.modalities",
        "m.encode(T)",
        "m.encode(T, modality='text')",
        "m.encode(T, modality='image')",
        "m.encode(T, task='query')",
        "m.encode(T, task='query', modality='text')",
        "m.encode(T, task='document')",
        "m.encode_query(T)",
        "m.encode_document(T)",
        "m.encode([{'text': text} for text in T])",
        "m.encode([{'query': text} for text in T])",
        "m.encode({'query': T[0]})",
        "m.encode(T, bogus=1)",
    ],
)
def test_expression_with_routes(routed, expression):
    ours, theirs = (outcome(model, expression) for model in routed)
    assert ours[0] == theirs[0]
    same(ours[1], theirs[1])


def test_unknown_keywords_are_named_with_the_known_ones(both, routed):
    with pytest.raises(errors.UnknownKeyword, match=r"bogus, other; it takes: .*task"):
        both[0].encode(TEXTS, other=2, bogus=1)
    with pytest.raises(errors.UnknownKeyword, match=r"bogus; it takes: modality, .*task"):
        routed[0].encode(TEXTS, bogus=1)
    assert issubclass(errors.UnknownKeyword, ValueError)


@pytest.mark.parametrize("limit", [4, 9, 64])
def test_setting_the_limit_of_tokens(tiny_bert, reference, limit):
    models = [build(library, tiny_bert) for library in (stlib, reference)]
    for model in models:
        model.max_seq_length = limit
        assert model.get_max_seq_length() == model.max_seq_length == model[0].max_seq_length == limit
    same(models[0].encode(TEXTS), models[1].encode(TEXTS))
    assert models[0].tokenize(TEXTS)["input_ids"].shape[1] <= limit


def test_setting_the_tokenizer(tiny_bert, reference):
    models = [build(library, tiny_bert) for library in (stlib, reference)]
    for library, model in zip((stlib, reference), models, strict=True):
        tokenizer = model.tokenizer
        tokenizer.add_tokens(["quick brown"])
        if library is stlib:  # the reference has a setter that raises
            model.tokenizer = tokenizer
            assert model[0].tokenizer is tokenizer
        model[0].auto_model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        with torch.no_grad():
            model[0].auto_model.get_input_embeddings().weight[-1] = 0.5
    same(models[0].encode(TEXTS), models[1].encode(TEXTS))


@pytest.mark.parametrize("name", ["cosine", "dot", "euclidean", "manhattan"])
@pytest.mark.parametrize("form", [str, SimilarityFunction])
def test_setting_the_similarity(tiny_bert, both, name, form):
    model = build(stlib, tiny_bert, similarity_fn_name=form(name))
    assert model.similarity_fn_name == name
    vectors = both[0].encode(TEXTS)
    both[1].similarity_fn_name = name
    same(model.similarity(vectors, vectors).numpy(), both[1].similarity(vectors, vectors).numpy())
    pairs = vectors, vectors[::-1].copy()
    same(model.similarity_pairwise(*pairs).numpy(), both[1].similarity_pairwise(*pairs).numpy())
    both[1].similarity_fn_name = "cosine"
    model.similarity_fn_name = None
    assert model.similarity_fn_name == "cosine"
    with pytest.raises(ValueError, match="bogus"):
        model.similarity_fn_name = "bogus"


def test_truncating_inside_a_block(both):
    for model in both:
        whole = model.encode(TEXTS)
        with model.truncate_sentence_embeddings(truncate_dim=16):
            assert model.truncate_dim == 16
            assert model.get_embedding_dimension() == model.get_sentence_embedding_dimension() == 16
            same(model.encode(TEXTS), whole[:, :16])
            with model.truncate_embeddings(4):
                same(model.encode(TEXTS), whole[:, :4])
            same(model.encode(TEXTS, truncate_dim=8), whole[:, :8])
        assert model.truncate_dim is None
        same(model.encode(TEXTS), whole)
    with pytest.raises(ZeroDivisionError), both[0].truncate_embeddings(3):
        raise ZeroDivisionError
    assert both[0].truncate_dim is None


def test_older_ways_to_load_and_to_prepare(tiny_bert, tmp_path, both):
    model = both[0]
    model.save(str(tmp_path / "model"))
    loaded = SentenceTransformer.load(str(tmp_path / "model"))
    same(loaded.encode(TEXTS), model.encode(TEXTS))
    bow = SentenceTransformer(modules=[our_modules.BoW(["sort", "list"])], device="cpu")
    assert bow.get_sentence_features([[0, 1, 1]])["sentence_embedding"].tolist() == [[1.0, 2.0]]
    assert bow.get_embedding_dimension() == 2


def test_evaluate_makes_the_folder_and_hands_on_the_model(both, tmp_path):
    seen = []

    class Records(stlib.evaluation.SentenceEvaluator):
        def __call__(self, model, output_path=None, epoch=-1, steps=-1):
            seen.append((model, output_path, epoch, steps))
            return 0.5

    folder = tmp_path / "new" / "results"
    assert both[0].evaluate(Records(), str(folder)) == 0.5
    assert folder.is_dir()
    assert both[0].evaluate(Records()) == 0.5
    assert seen == [(both[0], str(folder), -1, -1), (both[0], None, -1, -1)]


def test_features_move_and_have_attributes(both):
    """What `tokenize` gives is used like the tokenizer's own result, by both libraries."""
    for model in both:
        features = model.tokenize(TEXTS).to("cpu")
        same(plain(features.input_ids), plain(features["input_ids"]))
        moved = model.preprocess(TEXTS).to("meta")
        assert moved["attention_mask"].device.type == moved.input_ids.device.type == "meta"
        with pytest.raises(AttributeError):
            _ = features.nothing
        same(plain(model(features)["sentence_embedding"]), model.encode(TEXTS))
    ours = both[0].tokenize(TEXTS)
    assert isinstance(ours, dict)
    same(plain(pickle.loads(pickle.dumps(copy.deepcopy(ours)))), plain(ours))
