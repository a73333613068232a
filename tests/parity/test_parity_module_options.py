"""Options of modules that the other parity tests leave at their defaults, and files of older generations."""

from __future__ import annotations

import itertools
import json
import shutil
import warnings
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stlib
import stlib.models as our_modules
from stlib import SentenceTransformer, errors
from stlib.models import Dense, InputModule, Module, Normalize, Pooling, Transformer
from stlib.sentence_transformer.modules.tokenizer import (
    ENGLISH_STOP_WORDS,
    PhraseTokenizer,
    WhitespaceTokenizer,
)

pytestmark = pytest.mark.parity

SOME = ["How do I sort a list?", "short", "", "the quick brown fox jumps over the lazy dog " * 3]
MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
FLAGS = ["cls_token", "max_tokens", "mean_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"]


@pytest.fixture(scope="module")
def theirs(reference):
    return pytest.importorskip("sentence_transformers.sentence_transformer.modules")


def close(a, b, tolerance=1e-5):
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


# -- Pooling
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("include_prompt", [True, False])
@pytest.mark.parametrize("mode", [*MODES, ("mean", "cls"), tuple(MODES)])
def test_a_saved_pooling_is_read_by_both(theirs, tmp_path, mode, include_prompt):
    ours, their = (M.Pooling(8, mode, include_prompt) for M in (our_modules, theirs))
    for name, module in (("ours", ours), ("theirs", their)):
        (tmp_path / name).mkdir()
        module.save(str(tmp_path / name))
    assert json.loads((tmp_path / "ours/config.json").read_text()) == json.loads(
        (tmp_path / "theirs/config.json").read_text()
    )
    for loaded in (Pooling.load(str(tmp_path / "theirs")), theirs.Pooling.load(str(tmp_path / "ours"))):
        assert loaded.get_config_dict() == ours.get_config_dict() == their.get_config_dict()
        assert loaded.get_embedding_dimension() == their.get_embedding_dimension()


@pytest.mark.parametrize("flags", list(itertools.product([False, True], repeat=6))[1:])
def test_every_combination_of_older_flags_in_a_file(theirs, tmp_path, flags):
    given = {f"pooling_mode_{name}": flag for name, flag in zip(FLAGS, flags, strict=True)}
    config = {"word_embedding_dimension": 8, **given}
    if flags[0]:
        config["include_prompt"] = False
    (tmp_path / "config.json").write_text(json.dumps(config))
    ours, their = Pooling.load(str(tmp_path)), theirs.Pooling.load(str(tmp_path))
    assert ours.get_config_dict() == their.get_config_dict()
    features = {
        "token_embeddings": torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0)),
        "attention_mask": torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]),
        "prompt_length": 2,
    }
    a, b = (m(dict(features))["sentence_embedding"] for m in (ours, their))
    torch.testing.assert_close(a, b)


masks = st.integers(1, 6).flatmap(
    lambda width: st.lists(st.lists(st.booleans(), min_size=width, max_size=width), min_size=1, max_size=4)
)


@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(mask=masks, mode=st.sampled_from(MODES), include=st.booleans(), prompt=st.none() | st.integers(0, 7))
def test_pooling_of_any_mask_equals(theirs, mask, mode, include, prompt):
    """Padding on either side, holes, and rows without a token; a prompt longer than its text."""
    mask = torch.tensor(mask, dtype=torch.int64)
    generator = torch.Generator().manual_seed(mask.sum().item())
    features = {"token_embeddings": torch.randn(*mask.shape, 3, generator=generator), "attention_mask": mask}
    if prompt is not None:
        features["prompt_length"] = prompt
    found, expected = (M.Pooling(3, mode, include)(dict(features)) for M in (our_modules, theirs))
    # The reference's maximum over no token at all is minus infinity, of which no similarity can be computed
    expected = expected["sentence_embedding"].masked_fill(expected["sentence_embedding"] == -torch.inf, 0.0)
    torch.testing.assert_close(found["sentence_embedding"], expected)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("mode", MODES)
def test_the_prompt_is_left_out_by_hand(mode, side):
    """INSTRUCTOR-style pooling over the tokens behind the prompt, computed from its definition."""
    lengths, prompt, width = [6, 4], 2, 7
    tokens = torch.randn(2, width, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    mask = torch.zeros(2, width, dtype=torch.int64)
    for row, length in enumerate(lengths):
        mask[row, slice(0, length) if side == "right" else slice(width - length, width)] = 1
    features = {"token_embeddings": tokens, "attention_mask": mask, "prompt_length": prompt}
    found = Pooling(3, mode, include_prompt=False)(features)["sentence_embedding"]
    for row, length in enumerate(lengths):
        own = tokens[row][mask[row].bool()][prompt:]
        positions = torch.arange(prompt + 1, length + 1, dtype=torch.float64).unsqueeze(1)
        expected = {
            "cls": own[0],
            "lasttoken": own[-1],
            "max": own.max(dim=0).values,
            "mean": own.mean(dim=0),
            "mean_sqrt_len_tokens": own.sum(dim=0) / len(own) ** 0.5,
            "weightedmean": (own * positions).sum(dim=0) / positions.sum(),
        }[mode]
        torch.testing.assert_close(found[row], expected)


def test_set_pooling_include_prompt(tiny_bert, theirs, reference):
    ours, their = (library.SentenceTransformer(tiny_bert, device="cpu") for library in (stlib, reference))
    with_prompt = ours.encode(SOME, prompt="the query: ")
    for model in (ours, their):
        model.set_pooling_include_prompt(False)
    without = ours.encode(SOME, prompt="the query: ")
    close(without, their.encode(SOME, prompt="the query: "))
    assert np.abs(with_prompt - without).max() > 0.01
    ours.set_pooling_include_prompt(include_prompt=True)
    close(ours.encode(SOME, prompt="the query: "), with_prompt, 0)


# -- Dense, Normalize, WeightedLayerPooling
# --------------------------------------------------------------------


def pair(theirs, reference, tiny_bert, make):
    """The same pipeline in both libraries, with the weights of theirs in ours."""
    ours, their = (
        library.SentenceTransformer(modules=[M.Transformer(tiny_bert), M.Pooling(32), *make(M)], device="cpu")
        for library, M in ((stlib, our_modules), (reference, theirs))
    )
    for a, b in zip(list(ours)[2:], list(their)[2:], strict=True):
        a.load_state_dict(b.state_dict())
    return ours, their


def exchange(ours, their, reference, tmp_path, output_value="sentence_embedding"):
    """They agree, and so does what each loads of the other."""

    def vectors(model):
        rows = model.encode(SOME, output_value=None)
        return torch.stack([row[output_value].cpu() for row in rows]).numpy()

    expected = vectors(their)
    close(vectors(ours), expected)
    ours.save(tmp_path / "ours")
    their.save(str(tmp_path / "theirs"))
    close(vectors(SentenceTransformer(tmp_path / "theirs", device="cpu")), expected)
    close(vectors(reference.SentenceTransformer(str(tmp_path / "ours"), device="cpu")), expected)
    return expected


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", [None, torch.nn.ReLU(), torch.nn.Sigmoid(), torch.nn.Identity()])
def test_dense_with_first_weights(theirs, reference, tiny_bert, tmp_path, bias, activation):
    weight = torch.randn(5, 32, generator=torch.Generator().manual_seed(2))
    options = {
        "bias": bias,
        "activation_function": activation,
        "init_weight": weight,
        "init_bias": torch.arange(5.0) if bias else None,
        "module_output_name": "projected",
    }
    ours, their = pair(theirs, reference, tiny_bert, lambda M: [M.Dense(32, 5, **options)])
    torch.testing.assert_close(Dense(32, 5, **options).linear.weight.detach(), weight)
    found = exchange(ours, their, reference, tmp_path, "projected")
    pooled = torch.from_numpy(ours.encode(SOME))
    expected = pooled @ weight.T + (torch.arange(5.0) if bias else 0)
    close(found, expected if activation is None else activation(expected), 1e-4)


@pytest.mark.parametrize("options", [{}, {"module_output_name": "unit"}, {"module_input_name": "projected"}])
def test_normalize_names(theirs, reference, tiny_bert, tmp_path, options):
    def make(M):
        return [M.Dense(32, 5, module_output_name="projected"), M.Normalize(**options)]

    ours, their = pair(theirs, reference, tiny_bert, make)
    name = options.get("module_output_name", options.get("module_input_name", "sentence_embedding"))
    found = exchange(ours, their, reference, tmp_path, name)
    close(np.linalg.norm(found, axis=1), 1.0)


@pytest.mark.parametrize("layers", [1, 2])
def test_weights_of_layers_are_kept(theirs, reference, tiny_bert, tmp_path, layers):
    weights = torch.tensor([0.5, 2.0, 7.0])[: layers + 1]
    models = [
        library.SentenceTransformer(
            modules=[
                M.Transformer(tiny_bert, config_kwargs={"output_hidden_states": True}),
                M.WeightedLayerPooling(32, layers, 2 - layers, torch.nn.Parameter(weights.clone()))
                if layers == 2
                else M.WeightedLayerPooling(32, 2, 1, torch.nn.Parameter(weights.clone())),
                M.Pooling(32, "cls"),
            ],
            device="cpu",
        )
        for library, M in ((stlib, our_modules), (reference, theirs))
    ]
    exchange(*models, reference, tmp_path)
    again = SentenceTransformer(tmp_path / "ours", device="cpu")
    torch.testing.assert_close(again[1].layer_weights.detach(), weights)


# -- word tokenizers
# -------------------------------------------------------------------------------------------


def test_stop_words_equal(theirs):
    their = pytest.importorskip("sentence_transformers.sentence_transformer.modules.tokenizer")
    assert sorted(ENGLISH_STOP_WORDS) == sorted(their.ENGLISH_STOP_WORDS)
    text = "An unless anybody's (quick) FOX, isn't really over the lazy dog"
    vocab = [word.strip("'s(),") for word in text.split()]
    assert WhitespaceTokenizer(vocab).tokenize(text) == their.WhitespaceTokenizer(vocab).tokenize(text)


PHRASES = ["PAD", "new_york", "new", "york", "city", "new_york_city", "the", "quick", "_", "fox__dog", "in_"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stop_words": []},
        {"do_lower_case": True},
        {"ngram_separator": " "},
        {"ngram_separator": None},
        {"max_ngram_length": 2},
    ],
)
def test_phrase_tokenizer(theirs, tmp_path, options):
    pytest.importorskip("nltk", reason="run: pip install nltk")
    their = pytest.importorskip("sentence_transformers.sentence_transformer.modules.tokenizer")
    separator = options.get("ngram_separator", "_")
    vocab = [word.replace("_", separator) for word in PHRASES] if separator == " " else PHRASES
    ours, reference = PhraseTokenizer(vocab, **options), their.PhraseTokenizer(vocab, **options)
    texts = ["The New York City in new york", "Quick! new,york (NEW York) fox", "", "new new york city york"]
    for text in texts:
        assert ours.tokenize(text) == reference.tokenize(text), text
    assert list(ours.get_vocab()) == list(reference.get_vocab())
    ours.save(str(tmp_path))
    for loaded in (PhraseTokenizer.load(str(tmp_path)), their.PhraseTokenizer.load(str(tmp_path))):
        assert [loaded.tokenize(text) for text in texts] == [ours.tokenize(text) for text in texts]
    reference.save(str(tmp_path))
    loaded = PhraseTokenizer.load(str(tmp_path))
    assert [loaded.tokenize(text) for text in texts] == [ours.tokenize(text) for text in texts]


def test_words_and_weights_after_training(tmp_path):
    """Weights that training has changed are those that a loaded model has."""
    module = our_modules.WordWeights(["a", "b"], {"a": 2.0})
    with torch.no_grad():
        module.emb_layer.weight.fill_(5.0)
    module.save(str(tmp_path))
    assert our_modules.WordWeights.load(str(tmp_path)).emb_layer.weight.flatten().tolist() == [5.0, 5.0]
    (tmp_path / "model.safetensors").unlink()
    assert our_modules.WordWeights.load(str(tmp_path)).emb_layer.weight.flatten().tolist() == [2.0, 1.0]


# -- what Module and InputModule give to those who write modules
# ------------------------------------------------


class Scaled(Module):
    config_file_name = "scaled.json"
    config_keys = ("width", "factor")
    config_key_renames: ClassVar = {"size": "width"}

    def __init__(self, width, factor=1.0):
        super().__init__()
        self.width, self.factor = width, factor
        self.scale = torch.nn.Parameter(torch.full((width,), float(factor)))

    def forward(self, features, **kwargs):
        features["sentence_embedding"] = features["sentence_embedding"] * self.scale
        return features

    def save(self, output_path, *args, safe_serialization=True, **kwargs):
        self.save_config(output_path)
        self.save_torch_weights(output_path, safe_serialization=safe_serialization)


def cached(tmp_path, folder):
    """The folder as a model of the Hugging Face cache; returns its id and the cache."""
    root = tmp_path / "cache" / "models--owner--name"
    (root / "snapshots").mkdir(parents=True)
    shutil.copytree(folder, root / "snapshots" / ("2" * 40))
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text("2" * 40)
    return "owner/name", str(tmp_path / "cache")


@pytest.mark.parametrize("safe", [True, False])
@pytest.mark.parametrize("place", ["folder", "cache"])
def test_loaders_of_modules(tmp_path, safe, place):
    inner = tmp_path / "model" / "1_Scaled"
    inner.mkdir(parents=True)
    (tmp_path / "model" / "modules.json").write_text("[]")
    Scaled(3, 2.0).save(str(inner), safe_serialization=safe)
    assert sorted(path.name for path in inner.iterdir()) == sorted(
        ["scaled.json", "model.safetensors" if safe else "pytorch_model.bin"]
    )
    name, hub = str(tmp_path / "model"), {}
    if place == "cache":
        name, cache = cached(tmp_path, tmp_path / "model")
        hub = {"cache_folder": cache, "local_files_only": True, "revision": "main", "token": None}
    where = {"subfolder": "1_Scaled", **hub}
    assert Scaled.load_config(name, **where) == {"width": 3, "factor": 2.0}
    assert Scaled.load_config(name, config_filename="none.json", **where) == {}
    assert Scaled.load_file_path(name, "none.json", **where) is None
    path = Path(Scaled.load_file_path(name, "scaled.json", **where))
    assert json.loads(path.read_text()) == {"width": 3, "factor": 2.0}
    assert Scaled.load_dir_path(name, **where).endswith("1_Scaled")
    assert Scaled.load_dir_path(name, subfolder="none", **hub) is None
    state = Scaled.load_torch_weights(name, **where)
    assert {key: value.tolist() for key, value in state.items()} == {"scale": [2.0, 2.0, 2.0]}
    model = Scaled(3, 9.0)
    assert Scaled.load_torch_weights(name, model=model, **where) is model
    assert model.scale.tolist() == [2.0, 2.0, 2.0]
    assert Scaled.load(name, **where).factor == 2.0
    with pytest.raises(errors.MissingModelFile, match=r"model\.safetensors") as raised:
        Scaled.load_torch_weights(name, subfolder="", **hub)
    assert isinstance(raised.value, ValueError)  # as documented


def test_configs_of_modules(tmp_path):
    module = Scaled(3, 2.0)
    assert module.get_config_dict() == {"width": 3, "factor": 2.0}
    module.save_config(str(tmp_path), "other.json")
    assert Scaled.load_config(str(tmp_path), config_filename="other.json") == module.get_config_dict()
    # A key that is called otherwise today, and a default for one that is missing
    (tmp_path / "scaled.json").write_text('{"size": 4}')
    assert Scaled.load(str(tmp_path)).width == 4
    assert Scaled.load(str(tmp_path), init_defaults={"factor": 3.0, "width": 7}).get_config_dict() == {
        "width": 4,
        "factor": 3.0,
    }
    (tmp_path / "scaled.json").unlink()
    assert Scaled.load(str(tmp_path), init_defaults={"width": 5}).width == 5
    with pytest.raises(errors.MissingModelFile, match=r"scaled\.json"):
        Scaled.load(str(tmp_path))
    with pytest.raises(errors.UnsafePath):
        Scaled.load_config(str(tmp_path), subfolder="../other")
    with pytest.raises(TypeError, match="abstract"):
        Module()


def test_class_variables_equal(theirs):
    for name in our_modules.__all__:
        if name in ("Transformer", "CLIPModel", "StaticEmbedding", "Asym"):
            continue
        ours, their = getattr(our_modules, name), getattr(theirs, name)
        for variable in ("config_file_name", "config_keys", "save_in_root", "forward_kwargs"):
            assert getattr(ours, variable) == getattr(their, variable), (name, variable)


def test_older_names_of_dimensions_of_own_modules(theirs):
    for base in (Module, theirs.Module):

        class Wide(base):
            def get_embedding_dimension(self):
                return 12

            def forward(self, features, **kwargs):
                return features

            def save(self, output_path, *args, **kwargs):
                """Nothing to keep."""

        assert Wide().get_embedding_dimension() == 12
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the reference warns of older names
            assert Wide().get_sentence_embedding_dimension() == 12
            assert Wide().get_word_embedding_dimension() == 12
        for name in ("get_embedding_dimension", "get_word_embedding_dimension", "nonsense"):
            assert not hasattr(Normalize(), name)
    assert SentenceTransformer(modules=[Wide()]).get_sentence_embedding_dimension() == 12


class Letters(InputModule):
    """Counts letters, with a tokenizer of ``tokenizers``."""

    def __init__(self, tokenizer):
        super().__init__()
        self.tokenizer = tokenizer

    def preprocess(self, inputs, prompt=None, task=None, **kwargs):
        texts = [(prompt or "") + text for text in inputs]
        return {"counts": torch.tensor([[float(len(text))] for text in texts]), "seen_task": task}

    def forward(self, features, **kwargs):
        features["sentence_embedding"] = features["counts"]
        return features

    def save(self, output_path, *args, **kwargs):
        self.save_config(output_path)
        self.save_tokenizer(output_path)


def test_input_modules(tiny_bert, tmp_path):
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    fast = Tokenizer.from_file(f"{tiny_bert}/tokenizer.json")
    module = Letters(fast)
    assert module.modalities == ["text"]
    assert module.save_in_root is True
    # tokenize is the older name of preprocess, on the module and on the model
    assert module.tokenize(["abc"], task="query")["seen_task"] == "query"
    model = SentenceTransformer(modules=[module], device="cpu")
    assert model.tokenize(["abc", "a"])["counts"].tolist() == [[3.0], [1.0]]
    assert model.preprocess(["abc"], prompt="12", task="x")["counts"].tolist() == [[5.0]]
    assert model.encode("abc", prompt="12").tolist() == [5.0]
    assert model.tokenizer is fast
    module.save_tokenizer(str(tmp_path))
    assert Tokenizer.from_file(str(tmp_path / "tokenizer.json")).to_str() == fast.to_str()
    Letters(AutoTokenizer.from_pretrained(tiny_bert)).save_tokenizer(str(tmp_path / "whole"))
    again = AutoTokenizer.from_pretrained(str(tmp_path / "whole"))
    assert again("sort a list")["input_ids"] == fast.encode("sort a list").ids
    Letters(None).save_tokenizer(str(tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()


def test_modules_in_any_order_of_names(tiny_bert):
    """Named modules, as ``modules`` may be a dict, run in its order."""
    parts = {"first": Transformer(tiny_bert), "pool": Pooling(32), "unit": Normalize()}
    model = SentenceTransformer(modules=parts, device="cpu")
    assert [name for name, _ in model.named_children()] == ["first", "pool", "unit"]
    close(np.linalg.norm(model.encode(SOME[:2]), axis=1), 1.0)
