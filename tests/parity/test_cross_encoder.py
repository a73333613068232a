"""Scores of rerankers are those of the reference library, whatever the folder, the options and the call."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import stlib
from stlib import CrossEncoder
from stlib.base.transformer.positions import positions_of
from stlib.cross_encoder.modules import Dense, LogitScore, Transformer
from stlib.errors import (
    InvalidInput,
    InvalidOption,
    MissingModelFile,
    ModelNotFound,
    UnknownKeyword,
    UntrustedCode,
)
from stlib.models import Pooling

pytestmark = pytest.mark.parity

QUERY = "how do i sort a list"
DOCUMENTS = [
    "sort a list in short",
    "",
    "the quick brown fox jumps over the lazy dog " * 12,
    "meaning of word",
    "the quick brown fox",
    "meaning of word",
]
PAIRS = [(QUERY, document) for document in DOCUMENTS]


@pytest.fixture(scope="module")
def theirs(reference, tiny_reranker):
    return reference.CrossEncoder(tiny_reranker, device="cpu")


@pytest.fixture(scope="module")
def ours(tiny_reranker):
    return CrossEncoder(tiny_reranker, device="cpu")


def equal(got, expected):
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=0, atol=2e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_scores_are_equal(ours, theirs, batch_size):
    equal(ours.predict(PAIRS, batch_size=batch_size), theirs.predict(PAIRS, batch_size=batch_size))


@pytest.mark.parametrize(
    "options",
    [
        {"activation_fn": torch.nn.Identity()},
        {"activation_fn": torch.nn.Tanh()},
        {"activation_fct": torch.nn.Identity()},
        {"apply_softmax": True},
        {"prompt": "query: "},
        {"convert_to_numpy": False},
        {"convert_to_tensor": True},
        {"processing_kwargs": {"text": {"max_length": 12, "truncation": True}}},
        {"num_workers": 2},
    ],
    ids=lambda options: next(iter(options)),
)
def test_options_mean_the_same(ours, theirs, options):
    mine, other = ours.predict(PAIRS, **options), theirs.predict(PAIRS, **options)
    assert type(mine) is type(other)
    equal(mine, other)


def test_three_labels(reference, tiny_classifier):
    mine = CrossEncoder(tiny_classifier, device="cpu")
    other = reference.CrossEncoder(tiny_classifier, device="cpu")
    for softmax in (False, True):
        equal(mine.predict(PAIRS, apply_softmax=softmax), other.predict(PAIRS, apply_softmax=softmax))
    equal(mine.predict(PAIRS[0]), other.predict(PAIRS[0]))
    with pytest.raises(InvalidOption, match=r"one label, this one has 3; use predict"):
        mine.rank(QUERY, DOCUMENTS)


@pytest.mark.parametrize(
    "inputs",
    [
        PAIRS[0],
        list(PAIRS[0]),
        [list(pair) for pair in PAIRS],
        np.array(PAIRS),
        np.array(PAIRS[0]),
        [],
    ],
    ids=["tuple", "list", "lists", "array", "array of one", "none"],
)
def test_inputs_of_many_kinds(ours, theirs, inputs):
    mine, other = ours.predict(inputs), theirs.predict(inputs)
    assert np.shape(mine) == np.shape(other)
    equal(mine, other)


def test_a_list_of_arrays_is_one_of_pairs(ours):
    equal(ours.predict([np.array(pair) for pair in PAIRS]), ours.predict(PAIRS))


def test_older_name_of_the_inputs(ours, theirs):
    equal(ours.predict(sentences=PAIRS), theirs.predict(sentences=PAIRS))
    with pytest.raises(InvalidOption, match="inputs and its older name sentences are both given"):
        ours.predict(PAIRS, sentences=PAIRS)


@pytest.mark.parametrize("top_k", [None, 2, 0, 50])
@pytest.mark.parametrize("return_documents", [False, True])
def test_rank(ours, theirs, top_k, return_documents):
    mine = ours.rank(QUERY, DOCUMENTS, top_k=top_k, return_documents=return_documents)
    other = theirs.rank(QUERY, DOCUMENTS, top_k=top_k, return_documents=return_documents)
    assert [hit["corpus_id"] for hit in mine] == [hit["corpus_id"] for hit in other]
    assert [hit.get("text") for hit in mine] == [hit.get("text") for hit in other]
    equal([hit["score"] for hit in mine], [hit["score"] for hit in other])


def test_rank_keeps_the_order_of_ties(ours):
    hits = ours.rank(QUERY, ["the same words"] * 5)
    assert [hit["corpus_id"] for hit in hits] == [0, 1, 2, 3, 4]
    assert ours.rank(QUERY, []) == []


def test_rank_takes_what_gives_documents_once(ours):
    expected = ours.rank(QUERY, DOCUMENTS, return_documents=True)
    assert ours.rank(QUERY, iter(DOCUMENTS), return_documents=True) == expected


@pytest.mark.parametrize("documents", ["one document", {"id": "one document"}])
def test_rank_takes_no_single_text_for_a_list(ours, documents):
    with pytest.raises(InvalidInput, match="pass a list"):
        ours.rank(QUERY, documents)


def test_a_model_without_activation_stays_so(tiny_reranker, tmp_path):
    model = CrossEncoder(tiny_reranker, device="cpu")
    model.activation_fn = None
    model.save(str(tmp_path / "logits"))
    equal(CrossEncoder(str(tmp_path / "logits"), device="cpu").predict(PAIRS), model.predict(PAIRS))


def test_a_model_of_a_pipeline_travels_both_ways(reference, ours, theirs, tmp_path):
    ours.save(str(tmp_path / "ours"))
    theirs.save(str(tmp_path / "theirs"))
    expected = theirs.predict(PAIRS)
    equal(reference.CrossEncoder(str(tmp_path / "ours"), device="cpu").predict(PAIRS), expected)
    equal(CrossEncoder(tmp_path / "theirs", device="cpu").predict(PAIRS), expected)
    written = json.loads((tmp_path / "ours" / "config_sentence_transformers.json").read_text())
    assert written["model_type"] == "CrossEncoder"
    assert written["activation_fn"] == "torch.nn.modules.activation.Sigmoid"


def test_the_activation_is_saved_and_restored(tiny_reranker, reference, tmp_path):
    model = CrossEncoder(tiny_reranker, device="cpu", activation_fn=torch.nn.Tanh())
    model.save(str(tmp_path / "tanh"))
    again = CrossEncoder(tmp_path / "tanh", device="cpu")
    assert type(again.activation_fn) is torch.nn.Tanh
    equal(again.predict(PAIRS), reference.CrossEncoder(str(tmp_path / "tanh"), device="cpu").predict(PAIRS))


@pytest.mark.parametrize(
    "entry",
    [
        {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity", "version": "4.1"}},
        {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"},
    ],
    ids=["4.x", "3.x"],
)
def test_activations_of_earlier_generations(reference, tiny_reranker, tmp_path, entry):
    folder = Path(shutil.copytree(tiny_reranker, tmp_path / "older"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **entry}))
    mine, other = CrossEncoder(folder, device="cpu"), reference.CrossEncoder(str(folder), device="cpu")
    assert type(mine.activation_fn) is torch.nn.Identity
    equal(mine.predict(PAIRS), other.predict(PAIRS))


def test_a_foreign_activation_is_not_imported(tiny_reranker, tmp_path):
    folder = Path(shutil.copytree(tiny_reranker, tmp_path / "foreign"))
    config = json.loads((folder / "config.json").read_text())
    config["sentence_transformers"] = {"activation_fn": "antigravity.Fly"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UntrustedCode, match="trust_remote_code=True"):
        CrossEncoder(folder, device="cpu")


def test_arguments_of_earlier_generations(tiny_reranker):
    model = CrossEncoder(
        model_name=tiny_reranker,
        tokenizer_args={"model_max_length": 20},
        default_activation_function=torch.nn.Identity(),
        device="cpu",
    )
    assert (model.max_length, type(model.default_activation_function)) == (20, torch.nn.Identity)
    by_position = CrossEncoder(tiny_reranker, 1, 24, torch.nn.Tanh(), "cpu")
    assert (by_position.max_length, type(by_position.activation_fn)) == (24, torch.nn.Tanh)
    model.max_length = 16
    assert model.max_seq_length == 16
    with pytest.raises(InvalidOption, match="processor_kwargs and its older name tokenizer_args"):
        CrossEncoder(tiny_reranker, processor_kwargs={}, tokenizer_args={})
    with pytest.raises(InvalidOption, match=r"takes no argument 'colour'; it takes .*num_labels, "):
        CrossEncoder(tiny_reranker, colour=3)
    with pytest.raises(InvalidOption, match=r"no argument 'num_label'; did you mean 'num_labels'\?"):
        CrossEncoder(tiny_reranker, num_label=3)


def test_misspelt_keywords_are_named(ours):
    with pytest.raises(UnknownKeyword, match=r"does not take: batchsize; did you mean batch_size\?.* task"):
        ours.predict(PAIRS, batchsize=8)
    with pytest.raises(UnknownKeyword, match="does not take: colour"):
        ours.rank(QUERY, DOCUMENTS, colour=3)
    plain = ours.predict(PAIRS)
    equal(ours.predict(PAIRS, num_workers=2, task="query"), plain)
    short = ours.predict(PAIRS, processing_kwargs={"text": {"max_length": 12, "truncation": True}})
    assert np.abs(short - plain).max() > 1e-3


def test_a_module_of_ones_own_gets_its_keywords(tiny_reranker):
    class Marked(Transformer):
        def preprocess(self, inputs, prompt=None, **kwargs):
            told.append(kwargs.get("mark"))
            return super().preprocess(inputs, prompt)

    told: list = []
    module = Marked(tiny_reranker, transformer_task="sequence-classification")
    model = CrossEncoder(modules=[module], num_labels=1, device="cpu")
    model.predict(PAIRS[:1], mark=3)
    assert told == [3]


def test_labels_are_added_to_a_model_without_a_head(reference, tiny_bert):
    assert CrossEncoder(tiny_bert, device="cpu").num_labels == 1
    scores = []
    for library in (CrossEncoder, reference.CrossEncoder):
        torch.manual_seed(6)  # the head is new
        scores.append(library(tiny_bert, num_labels=4, device="cpu").predict(PAIRS))
    assert scores[0].shape == (len(PAIRS), 4)
    equal(*scores)


def test_the_length_of_pairs(reference, tiny_reranker):
    mine = CrossEncoder(tiny_reranker, max_length=14, device="cpu")
    other = reference.CrossEncoder(tiny_reranker, max_length=14, device="cpu")
    equal(mine.predict(PAIRS), other.predict(PAIRS))


def test_prompts(reference, tiny_reranker):
    settings = {"prompts": {"search": "search: "}, "default_prompt_name": "search", "device": "cpu"}
    mine = CrossEncoder(tiny_reranker, **settings)
    other = reference.CrossEncoder(tiny_reranker, **settings)
    equal(mine.predict(PAIRS), other.predict(PAIRS))
    equal(mine.predict(PAIRS, prompt=""), other.predict(PAIRS, prompt=""))
    equal(
        [hit["score"] for hit in mine.rank(QUERY, DOCUMENTS, prompt_name="search")],
        [hit["score"] for hit in other.rank(QUERY, DOCUMENTS, prompt_name="search")],
    )


def test_scores_of_a_dense_head(reference, tiny_bert):
    from sentence_transformers.base import modules as base
    from sentence_transformers.sentence_transformer import modules as dense

    torch.manual_seed(3)
    head = Dense(32, 2, activation_function=torch.nn.Identity(), module_output_name="scores")
    mine = CrossEncoder(modules=[Transformer(tiny_bert), Pooling(32, "cls"), head], device="cpu")
    other_head = base.Dense(32, 2, activation_function=torch.nn.Identity(), module_output_name="scores")
    other_head.load_state_dict(head.state_dict())
    other = reference.CrossEncoder(
        modules=[base.Transformer(tiny_bert), dense.Pooling(32, pooling_mode="cls"), other_head], device="cpu"
    )
    assert mine.num_labels == other.num_labels == 2
    equal(mine.predict(PAIRS), other.predict(PAIRS))


def test_a_causal_model_is_asked_for_yes_or_no(reference, tiny_causal, tmp_path):
    mine, other = CrossEncoder(tiny_causal, device="cpu"), reference.CrossEncoder(tiny_causal, device="cpu")
    assert isinstance(mine[1], LogitScore)
    equal(mine.predict(PAIRS), other.predict(PAIRS))
    mine.save(str(tmp_path / "causal"))
    equal(CrossEncoder(tmp_path / "causal", device="cpu").predict(PAIRS), other.predict(PAIRS))
    equal(reference.CrossEncoder(str(tmp_path / "causal"), device="cpu").predict(PAIRS), other.predict(PAIRS))


def test_layers_in_full_precision(reference, tiny_reranker, tmp_path):
    settings = {"model_kwargs": {"dtype": "bfloat16"}, "device": "cpu"}
    chosen = {"keep_in_fp32_modules": ["0.model.classifier"]}
    mine = CrossEncoder(tiny_reranker, **settings, **chosen)
    other = reference.CrossEncoder(tiny_reranker, **settings, **chosen)
    np.testing.assert_allclose(mine.predict(PAIRS), other.predict(PAIRS), atol=0.02)
    assert mine.model.classifier.weight.dtype is torch.bfloat16
    assert mine.model.classifier(torch.zeros(1, 32, dtype=torch.bfloat16)).dtype is torch.float32
    mine.save(str(tmp_path / "full"))
    again = CrossEncoder(tmp_path / "full", device="cpu")
    assert again.keep_in_fp32_modules == ["0.model.classifier"]
    again.set_keep_in_fp32_modules([])
    assert type(again.model.classifier) is torch.nn.Linear
    with pytest.raises(InvalidOption, match="only plain linear layers"):
        again.set_keep_in_fp32_modules(["0.model"])
    with pytest.raises(InvalidOption, match="which the model does not have"):
        again.set_keep_in_fp32_modules(["0.model.head"])


def test_scores_in_few_bits_are_activated_in_float32(tiny_reranker):
    """A sigmoid in bfloat16 would give different documents the same score."""
    model = CrossEncoder(tiny_reranker, model_kwargs={"dtype": "bfloat16"}, device="cpu")
    seen = []

    def watched(scores):
        seen.append(scores.dtype)
        return torch.sigmoid(scores)

    logits = model.predict(PAIRS, activation_fn=torch.nn.Identity())
    scores = model.predict(PAIRS, activation_fn=watched)
    assert set(seen) == {torch.float32}
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), rtol=0, atol=1e-6)


def test_several_processes(ours):
    pool = ours.start_multi_process_pool(["cpu", "cpu"])
    try:
        equal(ours.predict(PAIRS, pool=pool, chunk_size=2), ours.predict(PAIRS))
        assert (
            ours.rank(QUERY, DOCUMENTS, pool=pool)[0]["corpus_id"]
            == ours.rank(QUERY, DOCUMENTS)[0]["corpus_id"]
        )
    finally:
        ours.stop_multi_process_pool(pool)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["a", "b", "c"], "input 0 is .* which is not a pair"),
        ([("a", "b"), ("a", "b", "c")], "input 1 is .* which is not a pair"),
        ([("a", None)], "input 0 is .* which is not a pair"),
        ([["a"]], "input 0 is .* which is not a pair"),
        ("only a text", "input 0 is 'only a text', which is not a pair"),
        ([(np.zeros((2, 2)), "a")], "input 0 is a tuple"),
    ],
)
def test_what_is_no_pair_is_named(ours, inputs, message):
    with pytest.raises(InvalidInput, match=message):
        ours.predict(inputs)


def test_what_is_no_model_is_named(tmp_path, tiny_reranker):
    with pytest.raises(MissingModelFile, match=r"neither modules.json nor config.json"):
        CrossEncoder(tmp_path)
    with pytest.raises(ModelNotFound):
        CrossEncoder("no-such/reranker", local_files_only=True)
    with pytest.raises(InvalidOption, match="batch_size is 0"):
        CrossEncoder(tiny_reranker, device="cpu").predict(PAIRS, batch_size=0)


def test_a_very_long_document(ours, theirs):
    pair = (QUERY, "word " * 100_000)
    equal(ours.predict(pair), theirs.predict(pair))


def test_the_card_s_example_runs(ours, tmp_path, capsys):
    ours.save(str(tmp_path / "card"))
    card = (tmp_path / "card" / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: text-ranking" in card
    code = card.partition("```python\n")[2].partition("```")[0]
    code = code.replace('CrossEncoder("card")', f"CrossEncoder({str(tmp_path / 'card')!r})")
    exec(compile(code, "card", "exec"), {})
    assert capsys.readouterr().out.startswith("(2,)")


def test_an_old_embedding_model_gives_its_transformer(tiny_bert, tmp_path):
    from stlib import SentenceTransformer

    SentenceTransformer(tiny_bert, device="cpu").save(str(tmp_path / "new"))
    shutil.copytree(tmp_path / "new", tmp_path / "old")
    path = tmp_path / "old" / "config_sentence_transformers.json"
    config = json.loads(path.read_text())
    del config["model_type"]
    path.write_text(json.dumps(config))
    shutil.copytree(tmp_path / "old", tmp_path / "oldest")
    inner = tmp_path / "oldest" / "0_Transformer"
    inner.mkdir()
    for file in (tmp_path / "oldest").iterdir():
        if file.is_file() and file.name not in ("modules.json", path.name, "README.md"):
            file.rename(inner / file.name)
    path = tmp_path / "oldest" / "modules.json"
    path.write_text(path.read_text().replace('"path": ""', '"path": "0_Transformer"', 1))
    scores = []
    for name in ("new", "old", "oldest"):
        torch.manual_seed(5)  # the head is new
        model = CrossEncoder(str(tmp_path / name), num_labels=1, device="cpu")
        scores.append(model.predict(PAIRS))
    assert scores[1].tolist() == scores[2].tolist() == scores[0].tolist()


def test_a_search_takes_an_encoder_only_with_a_head_of_its_own(tiny_bert, tmp_path):
    from indexing.errors import RerankingFailed
    from indexing.models.rerankers import load_reranker

    head = Dense(32, 1, activation_function=torch.nn.Identity(), module_output_name="scores")
    model = CrossEncoder(modules=[Transformer(tiny_bert), Pooling(32, "cls"), head], device="cpu")
    model.save(str(tmp_path / "pipeline"))
    reranker = load_reranker(str(tmp_path / "pipeline"))
    equal(reranker.scores(QUERY, DOCUMENTS), model.predict(PAIRS, activation_fn=torch.nn.Identity()))
    with pytest.raises(RerankingFailed, match="BertModel, which gives no score"):
        load_reranker(tiny_bert)


@pytest.mark.parametrize("labels", [0, -1, 1.5, "2"])
def test_a_number_of_labels_that_there_is_not(tiny_reranker, labels):
    with pytest.raises(InvalidOption, match=f"num_labels is {labels!r}; use 1 for a score"):
        CrossEncoder(tiny_reranker, num_labels=labels, device="cpu")
    assert CrossEncoder(tiny_reranker, num_labels=np.int64(1), device="cpu").num_labels == 1


def test_what_is_no_activation(ours, tiny_reranker):
    for wrong, message in (("sigmoid", "activation_fn is 'sigmoid'; pass a function"), (3, "is 3; pass a")):
        with pytest.raises(InvalidOption, match=message):
            CrossEncoder(tiny_reranker, activation_fn=wrong, device="cpu")
        for call in (ours.predict, lambda pairs, **options: ours.rank(*pairs[0], **options)):
            with pytest.raises(InvalidOption, match=message):
                call([(QUERY, DOCUMENTS)], activation_fn=wrong)
        with pytest.raises(InvalidOption, match=message):
            ours.activation_fn = wrong
    with pytest.raises(InvalidOption, match=r"is the class Sigmoid; pass an object of it: Sigmoid\(\)"):
        ours.predict(PAIRS, activation_fn=torch.nn.Sigmoid)


def test_more_tokens_than_the_model_has_positions(reference, tiny_reranker):
    """As in the reference, only a pair that is too long is refused, and here with a reason."""
    mine, other = (
        library.CrossEncoder(tiny_reranker, max_length=100, device="cpu") for library in (stlib, reference)
    )
    equal(mine.predict(PAIRS[:2]), other.predict(PAIRS[:2]))
    with pytest.raises(RuntimeError, match="must match the size"):
        other.predict(PAIRS)
    with pytest.raises(
        InvalidOption, match=r"has 100 tokens .* max_seq_length=100, .* positions for 64; set"
    ):
        mine.predict(PAIRS)
    mine.max_length = 64
    equal(mine.predict(PAIRS), CrossEncoder(tiny_reranker, device="cpu").predict(PAIRS))
    exported = CrossEncoder(tiny_reranker, backend="onnx", max_length=100, device="cpu")
    equal(exported.predict(PAIRS[:2]), other.predict(PAIRS[:2]))
    with pytest.raises(InvalidInput, match="cannot run on inputs of 100 tokens"):
        exported.predict(PAIRS)


@pytest.mark.parametrize("kind", ["Roberta", "GPT2", "Bart", "XLMRoberta", "DebertaV2", "Distil"])
def test_positions_that_an_architecture_has(kind):
    """The model runs on so many tokens, and not on one more."""
    import transformers

    sizes = {"vocab_size": 9, "hidden_size": 8, "num_attention_heads": 1, "num_hidden_layers": 1}
    named = {
        "GPT2": {"n_positions": 12, "n_embd": 8, "n_layer": 1, "n_head": 1, "vocab_size": 9},
        "Bart": {"max_position_embeddings": 12, "d_model": 8, "encoder_layers": 1, "decoder_layers": 1}
        | {"encoder_attention_heads": 1, "decoder_attention_heads": 1, "vocab_size": 9},
        "Distil": {"max_position_embeddings": 12, "dim": 8, "n_layers": 1, "n_heads": 1, "vocab_size": 9},
        "DebertaV2": {"relative_attention": True, "position_biased_input": False, **sizes},
    }.get(kind, {"max_position_embeddings": 14, "intermediate_size": 8, **sizes})
    name = "DistilBert" if kind == "Distil" else kind
    config = getattr(transformers, f"{name}Config")(pad_token_id=1, eos_token_id=2, **named)
    model = getattr(transformers, f"{name}Model")(config).eval()
    found = positions_of(model)
    assert found == (None if kind == "DebertaV2" else 12)
    ids = torch.full((1, 13), 5)
    with torch.no_grad():
        model(ids[:, :12])
        if found is not None:
            with pytest.raises((IndexError, RuntimeError)):
                model(ids)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    "words", ["fox ", "unknownword" * 30 + " ", "fox\n  ."], ids=["words", "long words", "lines"]
)
def test_what_is_cut_off_of_a_very_long_document_is_not_read(tiny_reranker, side, words):
    model = CrossEncoder(tiny_reranker, device="cpu", processor_kwargs={"truncation_side": side})
    words *= 1000
    # Half a character, which no tokenizer reads, at the end that is cut off
    document = "\ud800 " + words if side == "left" else words + " \ud800"
    expected = model.tokenizer([(QUERY, words)], truncation="longest_first", max_length=64)["input_ids"]
    assert model.preprocess([(QUERY, document)])["input_ids"].tolist() == expected
    assert model.predict((QUERY, document)) == model.predict((QUERY, words))


@pytest.mark.parametrize(
    "text", [{"truncation": "only_second"}, {"stride": 2, "return_overflowing_tokens": True}]
)
def test_other_ways_to_cut_read_all_of_a_document(ours, text):
    pairs, keywords = [(QUERY, "the quick fox " * 2000)], {"truncation": "longest_first", **text}
    expected = ours.tokenizer(pairs, max_length=64, padding=True, **keywords)["input_ids"]
    got = ours.preprocess(pairs, processing_kwargs={"text": text})["input_ids"]
    assert got.tolist() == expected
