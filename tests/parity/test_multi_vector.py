"""MultiVectorEncoder beside the reference on a tiny model: modules, options of encode, files both ways."""

from __future__ import annotations

import pickle
import string
from importlib import import_module

import numpy as np
import pytest
import torch
from torch import nn

import stlib

pytestmark = pytest.mark.parity

TEXTS = [
    "how do i sort a list by key ?",
    "the quick brown fox jumps over the lazy dog . the dog is lazy , and the fox is quick !",
    "search",
    "a text : a query ; a document",
]
PARTS = {
    "plain": {},
    "lengths": {"query_length": 5, "document_length": 7},
    "fixed": {"query_expansion": {"strategy": "fixed", "length": 9}},
    "attended": {"query_expansion": {"strategy": "fixed", "length": 9, "attend": True, "token": "[SEP]"}},
    "at least": {"query_expansion": {"strategy": "min", "length": 9}, "query_length": 14},
    "skipped": {"mask": {"skiplist_words": [*string.punctuation, "fox"]}},
    "skipped of both": {"mask": {"skiplist_words": ["fox"], "skiplist_tasks": ["query", "document"]}},
    "skipped of queries": {"mask": {"skiplist_words": ["fox"], "skiplist_tasks": "query"}},
    "kept alone": {"mask": {"keep_only_token_ids": [2, 5, 6, 7]}},
    "hierarchical": {"pooling": {"pool_factor": 2}},
    "hierarchical of both": {
        "pooling": {"pool_factor": 1.5, "num_protected_tokens": 2, "tasks": ["query", "document"]}
    },
    "means as they are": {
        "pooling": {"pool_factor": 3, "num_protected_tokens": 0, "normalize_embeddings": False}
    },
    "pooling of nothing": {"pooling": {"pool_factor": 1}},
}


def build(library, folder, mask=None, pooling=None, model=None, **transformer):
    """A model of a library: the transformer in a folder, a projection to 12 dimensions, mask and length 1."""
    name = library.__name__
    base = import_module(f"{name}.base.modules")
    own = import_module(f"{name}.multi_vector_encoder.modules")
    torch.manual_seed(3)
    modules = [
        base.Transformer(folder, **transformer),
        base.Dense(
            32, 12, bias=False, activation_function=nn.Identity(), module_input_name="token_embeddings"
        ),
        own.MultiVectorMask(**(mask or {})),
        base.Normalize("token_embeddings"),
    ]
    if pooling is not None:
        modules.append(own.HierarchicalTokenPooling(**pooling))
    return library.MultiVectorEncoder(modules=modules, device="cpu", **(model or {}))


def assert_alike(result, expected):
    assert [tuple(row.shape) for row in result] == [tuple(row.shape) for row in expected]
    for ours, theirs in zip(result, expected, strict=True):
        torch.testing.assert_close(torch.as_tensor(ours), torch.as_tensor(theirs), rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def pair(reference, tiny_bert):
    prompts = {"query": "query : ", "document": "", "passage": "text ", "other": "a "}
    return [
        build(library, tiny_bert, model={"prompts": prompts}, document_length=16, **PARTS["fixed"])
        for library in (stlib, reference)
    ]


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_every_module_and_setting_encodes_alike(reference, tiny_bert, parts, tmp_path):
    ours, theirs = (build(library, tiny_bert, **parts) for library in (stlib, reference))
    ours.save_pretrained(str(tmp_path / "ours"))
    theirs.save_pretrained(str(tmp_path / "theirs"))
    models = [
        ours,
        stlib.MultiVectorEncoder(str(tmp_path / "theirs"), device="cpu"),
        stlib.MultiVectorEncoder(str(tmp_path / "ours"), device="cpu"),
        reference.MultiVectorEncoder(str(tmp_path / "ours"), device="cpu"),
    ]
    for name in ("encode", "encode_query", "encode_document"):
        expected = getattr(theirs, name)(TEXTS)
        for model in models:
            assert_alike(getattr(model, name)(TEXTS), expected)
    assert [module.get_config_dict() for module in list(ours)[2:]] == [
        module.get_config_dict() for module in list(models[1])[2:]
    ]


def test_training_gives_the_same_gradients(reference, tiny_bert):
    gradients = []
    for library in (stlib, reference):
        model = build(library, tiny_bert, pooling={"pool_factor": 2}, **PARTS["fixed"])
        total = 0.0
        for task in ("query", "document"):
            features = model(model.preprocess(TEXTS, task=task), task=task)
            counted = features["token_embeddings"] * features["attention_mask"].unsqueeze(2)
            total = total + (counted * torch.linspace(0, 1, 12)).sum()
        total.backward()
        gradients.append({name: one.grad for name, one in model.named_parameters() if one.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-3, atol=1e-4)


def halve(rows):
    """Every second token, weighed by the number of them."""
    return rows[::2] * len(rows)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 1},
        {"convert_to_numpy": True},
        {"normalize_embeddings": True},
        {"prompt": "the "},
        {"prompt_name": "other"},
        {"processing_kwargs": {"text": {"max_length": 6}}},
        {"token_pooling": "hierarchical"},
        {"token_pooling": "lambda"},
    ],
    ids=str,
)
def test_every_option_of_encode_gives_the_same(reference, pair, options):
    results = []
    for library, model in zip((stlib, reference), pair, strict=True):
        own = import_module(f"{library.__name__}.multi_vector_encoder.modules")
        poolings = {
            "hierarchical": own.HierarchicalTokenPooling(2),
            "lambda": own.LambdaTokenPooling(halve, tasks=["query", "document"]),
        }
        given = dict(options)
        if "token_pooling" in given:
            given["token_pooling"] = poolings[given["token_pooling"]]
        for name in ("encode_query", "encode_document"):
            results.append([*getattr(model, name)(TEXTS, **given), getattr(model, name)(TEXTS[0], **given)])
        results.append(model.encode(TEXTS, task="query", **given))
    for result, expected in zip(results[:3], results[3:], strict=True):
        assert [type(row) for row in result] == [type(row) for row in expected]
        assert_alike(result, expected)


def test_all_features_of_each_input(pair):
    for name in ("encode_query", "encode_document"):
        result, expected = (getattr(model, name)(TEXTS, output_value=None, batch_size=4) for model in pair)
        for ours, theirs in zip(result, expected, strict=True):
            assert set(theirs) <= set(ours) | {"modality"}
            kept = theirs["attention_mask"].bool()
            assert torch.equal(ours["attention_mask"].bool()[: len(kept)], kept)
            assert torch.equal(ours["input_ids"][: len(kept)], theirs["input_ids"])
            torch.testing.assert_close(
                ours["token_embeddings"][: len(kept)][kept],
                theirs["token_embeddings"][kept],
                rtol=1e-4,
                atol=1e-5,
            )


def test_scores_of_the_model(reference, pair):
    for name in ("maxsim", "meanmaxsim"):
        scores = []
        for model in pair:
            model.similarity_fn_name = name
            queries, documents = model.encode_query(TEXTS), model.encode_document(TEXTS)
            scores.append(
                (model.similarity(queries, documents), model.similarity_pairwise(queries, documents))
            )
            assert model.similarity_fn_name == name
        for result, expected in zip(*scores, strict=True):
            torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4)
    for model in pair:
        for name in ("cosine", "xtr"):
            with pytest.raises(ValueError, match="maxsim"):
                model.similarity_fn_name = name
        assert model.get_embedding_dimension() == 12


def test_no_inputs_and_options_that_mean_nothing(pair):
    for model in pair:
        assert model.encode_document([]) == []
        for options in (
            {"batch_size": 0},
            {"output_value": "x"},
            {"convert_to_tensor": True},
            {"unknown": 1},
        ):
            with pytest.raises(ValueError):
                model.encode(TEXTS, **options)


def test_poolings_of_vectors_that_are_there(reference):
    rows = [torch.randn(n, 5, generator=torch.Generator().manual_seed(n)) for n in (9, 4, 1)]
    padded = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    mask = padded.any(dim=2)
    left = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_side="left")
    calls = [
        {"embeddings": rows},
        {"embeddings": rows, "task": "query"},
        {"embeddings": padded},
        {"embeddings": padded, "attention_mask": mask},
        {"embeddings": left, "padding_side": "left"},
        {"embeddings": left, "padding_side": "left", "attention_mask": left.any(dim=2)},
        {"embeddings": padded[:0]},
        {"embeddings": []},
        {"embeddings": padded.half()},
    ]
    for call in calls:
        results = []
        for library in (stlib, reference):
            own = import_module(f"{library.__name__}.multi_vector_encoder.modules")
            results.append(
                [own.HierarchicalTokenPooling(2).pool(**call), own.LambdaTokenPooling(halve).pool(**call)]
            )
        for result, expected in zip(*results, strict=True):
            if isinstance(expected, list):
                assert_alike(result, expected)
            else:
                torch.testing.assert_close(result, expected)


def test_poolings_refuse_what_both_refuse(reference, tmp_path):
    for library in (stlib, reference):
        own = import_module(f"{library.__name__}.multi_vector_encoder.modules")
        for given in ({"pool_factor": 0.5}, {"num_protected_tokens": -1}):
            with pytest.raises(ValueError, match=next(iter(given))):
                own.HierarchicalTokenPooling(**given)
        pooling = own.LambdaTokenPooling(halve)
        with pytest.raises(NotImplementedError):
            pooling.save(str(tmp_path))
        for wrong in (torch.zeros(2, 2), [torch.zeros(2)], "text"):
            with pytest.raises(ValueError):
                pooling.pool(wrong)


def test_a_pooling_saved_before_lengths_were_normalised(tmp_path):
    (tmp_path / "config.json").write_text(
        '{"pool_factor": 2, "num_protected_tokens": 1, "tasks": ["document"]}'
    )
    loaded = import_module("stlib.multi_vector_encoder.modules").HierarchicalTokenPooling.load(str(tmp_path))
    assert loaded.get_config_dict() == {
        "pool_factor": 2,
        "num_protected_tokens": 1,
        "normalize_embeddings": False,
        "tasks": ["document"],
    }


def test_a_skip_list_with_words_that_are_no_tokens(tiny_bert, caplog):
    model = build(stlib, tiny_bert, mask={"skiplist_words": ["foxes", "fox", "[UNK]"]})
    assert "['foxes']" in caplog.text
    rows = model.encode_document(["foxes and a fox"], convert_to_numpy=True)[0]
    whole = build(stlib, tiny_bert).encode_document(["foxes and a fox"], convert_to_numpy=True)[0]
    ids = model.preprocess(["foxes and a fox"])["input_ids"][0].tolist()
    skipped = {model.tokenizer.convert_tokens_to_ids(word) for word in ("fox", "[UNK]")}
    np.testing.assert_allclose(rows, whole[[i for i, id_ in enumerate(ids) if id_ not in skipped]], rtol=1e-5)


def routed(library, folder):
    base = import_module(f"{library.__name__}.base.modules")
    own = import_module(f"{library.__name__}.multi_vector_encoder.modules")
    torch.manual_seed(4)
    routes = [
        [
            base.Transformer(folder, **lengths),
            base.Dense(32, 8, activation_function=nn.Tanh(), module_input_name="token_embeddings"),
        ]
        for lengths in (PARTS["fixed"], {"document_length": 7})
    ]
    router = base.Router.for_query_document(*routes)
    modules = [router, own.MultiVectorMask(["fox", "?"]), base.Normalize("token_embeddings")]
    return library.MultiVectorEncoder(modules=modules, device="cpu")


def test_a_route_for_queries_and_one_for_documents(reference, tiny_bert, tmp_path):
    ours, theirs = routed(stlib, tiny_bert), routed(reference, tiny_bert)
    ours.save_pretrained(str(tmp_path))
    models = ours, stlib.MultiVectorEncoder(str(tmp_path)), reference.MultiVectorEncoder(str(tmp_path))
    for name in ("encode_query", "encode_document"):
        for model in models:
            assert_alike(getattr(model.to("cpu"), name)(TEXTS), getattr(theirs, name)(TEXTS))


def test_what_a_call_asks_for_reaches_other_processes(tiny_bert):
    from stlib.multi_vector_encoder.encoding import TokenOptions
    from stlib.multi_vector_encoder.modules import HierarchicalTokenPooling

    model = pickle.loads(pickle.dumps(build(stlib, tiny_bert, **PARTS["fixed"])))
    options = TokenOptions(
        token_pooling=HierarchicalTokenPooling(2), keywords={"task": "document"}, to_cpu=True
    )
    rows = pickle.loads(pickle.dumps(options)).run(
        model, model.preprocess(TEXTS, task="document"), len(TEXTS)
    )
    assert_alike(rows, model.encode_document(TEXTS, token_pooling=HierarchicalTokenPooling(2)))


def test_the_card_tells_what_the_model_is(tiny_bert, tmp_path):
    model = build(stlib, tiny_bert, document_length=7, **PARTS["fixed"])
    model.save_pretrained(str(tmp_path))
    card = (tmp_path / "README.md").read_text()
    for words in (
        "maps a text token by token to vectors of 12 dimensions",
        "| Similarity | MaxSim |",
        "| Queries | 9 tokens |",
        "| Documents | 7 tokens |",
        "query_embeddings = model.encode_query(queries)",
        "- late-interaction",
    ):
        assert words in card
    model.model_card_data.run_usage_snippet()
    assert "tensor([[" in model.model_card_data.generate_usage_snippet()


@pytest.mark.parametrize("task", [None, "query", "document"])
def test_texts_laid_end_to_end_and_pictures_without_ids(reference, task):
    results = []
    for library in (stlib, reference):
        own = import_module(f"{library.__name__}.multi_vector_encoder.modules")
        mask = own.MultiVectorMask(["x"], keep_only_token_ids=[3, 4, 5, 6])
        mask.resolve_with_tokenizer(Letters())
        flat = {
            "token_embeddings": torch.arange(14.0).view(1, 7, 2),
            "input_ids": torch.tensor([[5, 6, 3, 9, 4, 4, 6]]),
            "cu_seq_lens_q": torch.tensor([0, 3, 7]),
        }
        picture = {
            "token_embeddings": torch.ones(2, 3, 2),
            "attention_mask": torch.tensor([[1, 1, 0], [1, 0, 0]]),
        }
        results.append((mask(flat, task=task), mask(dict(picture), task=task)))
    for result, expected in zip(*results, strict=True):
        for name in ("token_embeddings", "attention_mask"):
            torch.testing.assert_close(result[name], expected[name])


class Letters:
    """A tokenizer of which a mask only asks for ids."""

    unk_token, unk_token_id = "[UNK]", 0

    def convert_tokens_to_ids(self, word):
        return {"x": 4}.get(word, 0)
