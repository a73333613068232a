"""Activations of torch.nn are data: whatever a saved model names is what runs, with torch and without it."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn
from torch.nn import functional as F

from stlib import CrossEncoder
from stlib.base.modules.dense import Dense
from stlib.errors import ModelConfigError, UnsupportedModel, UntrustedCode
from stlib.runtime.modules.dense import Dense as RuntimeDense

pytestmark = pytest.mark.parity

PAIRS = [("how do i sort a list", "sort the list by key"), ("quick fox", "the lazy dog"), ("a word", "text")]
VALUES = torch.linspace(-4, 4, 5 * 6).reshape(5, 6)
NAMES = [
    n for n in nn.modules.activation.__all__ if n not in ("MultiheadAttention", "Threshold", "Softmax2d")
]
WITH_ARGUMENTS = [
    nn.CELU(0.5),
    nn.ELU(2.0),
    nn.GELU("tanh"),
    nn.Hardshrink(0.2),
    nn.Hardtanh(-0.5, 2.0),
    nn.LeakyReLU(0.3),
    nn.LogSoftmax(dim=1),
    nn.PReLU(4, init=0.1),
    nn.PReLU(init=0.4),
    nn.RReLU(0.2, 0.3),
    nn.Softmax(dim=0),
    nn.Softmin(dim=-1),
    nn.Softplus(2.0, 3.0),
    nn.Softshrink(0.1),
    nn.Threshold(0.1, 20),
]


def build(name: str) -> nn.Module:
    """As the reference builds it; those over an axis are told the one that torch takes for scores."""
    cls = getattr(nn, name)
    return cls(dim=-1) if name in ("Softmax", "LogSoftmax", "Softmin") else cls()


def run(dense: nn.Module) -> np.ndarray:
    with torch.inference_mode():
        return dense.eval()({"sentence_embedding": VALUES})["sentence_embedding"].numpy()


def runtime_dense(folder: Path) -> RuntimeDense:
    config = json.loads((folder / "config.json").read_text())
    return RuntimeDense(config, load_file(folder / "model.safetensors"), folder / "config.json")


@pytest.mark.parametrize("name", [*NAMES, "Identity"])
def test_a_dense_layer_of_the_reference_keeps_its_activation(reference, tmp_path, name):
    from sentence_transformers.base.modules import Dense as TheirDense

    theirs = TheirDense(6, 4, activation_function=build(name))
    theirs.save(str(tmp_path))
    expected = run(theirs)
    ours = Dense.load(str(tmp_path))
    assert type(ours.activation_function) is getattr(nn, name)
    np.testing.assert_allclose(run(ours), expected, atol=1e-6)
    without_torch = runtime_dense(tmp_path)
    result = without_torch.forward({"sentence_embedding": VALUES.numpy()})["sentence_embedding"]
    np.testing.assert_allclose(result, expected, atol=3e-6)
    assert ours.get_embedding_dimension() == without_torch.dimension == expected.shape[1]


@pytest.mark.parametrize("activation", WITH_ARGUMENTS, ids=repr)
def test_arguments_of_an_activation_travel_with_a_dense_layer(reference, tmp_path, activation):
    from sentence_transformers.base.modules import Dense as TheirDense

    dense = Dense(6, 4, activation_function=activation)
    dense.save(str(tmp_path))
    expected = run(dense)
    again = Dense.load(str(tmp_path))
    assert repr(again.activation_function) == repr(activation)
    np.testing.assert_array_equal(run(again), expected)
    result = runtime_dense(tmp_path).forward({"sentence_embedding": VALUES.numpy()})["sentence_embedding"]
    np.testing.assert_allclose(result, expected, atol=3e-6)
    takes_none = isinstance(activation, nn.Threshold) or getattr(activation, "num_parameters", 1) > 1
    if not takes_none:  # the reference builds every activation without arguments
        assert type(TheirDense.load(str(tmp_path)).activation_function) is type(activation)


@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax", "Hardshrink", "Softmin", "RReLU", "Tanh"])
def test_a_reranker_of_the_reference_keeps_its_activation(reference, tiny_classifier, tmp_path, name):
    theirs = reference.CrossEncoder(tiny_classifier, device="cpu", activation_fn=build(name).eval())
    theirs.save_pretrained(str(tmp_path / "saved"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = CrossEncoder(str(tmp_path / "saved"), device="cpu")
        ours.activation_fn.eval()
        np.testing.assert_allclose(ours.predict(PAIRS), theirs.predict(PAIRS), atol=1e-5)
    assert type(ours.activation_fn) is getattr(nn, name)


@pytest.mark.parametrize(
    "activation", [nn.LeakyReLU(0.4), nn.Softmax(dim=0), nn.Threshold(0.1, 20)], ids=repr
)
def test_arguments_of_an_activation_travel_with_a_reranker(tiny_reranker, tmp_path, activation):
    model = CrossEncoder(tiny_reranker, device="cpu", activation_fn=activation)
    model.save_pretrained(str(tmp_path))
    again = CrossEncoder(str(tmp_path), device="cpu")
    assert repr(again.activation_fn) == repr(activation)
    np.testing.assert_array_equal(again.predict(PAIRS), model.predict(PAIRS))


@pytest.mark.parametrize(("function", "name"), [(torch.sigmoid, "Sigmoid"), (F.gelu, "GELU"), (F.glu, "GLU")])
def test_a_function_of_torch_is_saved_as_its_class(tmp_path, function, name):
    dense = Dense(6, 4, activation_function=function)
    dense.save(str(tmp_path))
    again = Dense.load(str(tmp_path))
    assert type(again.activation_function) is getattr(nn, name)
    np.testing.assert_allclose(run(again), run(dense), atol=1e-6)


@pytest.mark.parametrize(
    "path", ["os.system", "torch.load", "torch.nn.Linear", "torch.ao.nn.quantized.ReLU6", "function", 7]
)
def test_what_is_no_activation_is_an_error_and_no_other_function(tiny_reranker, tmp_path, path):
    folder = Path(shutil.copytree(tiny_reranker, tmp_path / "foreign"))
    CrossEncoder(tiny_reranker, device="cpu").save_pretrained(str(folder))
    _edit(folder / "config_sentence_transformers.json", activation_fn=path)
    with pytest.raises(UntrustedCode, match="trust_remote_code=True"):
        CrossEncoder(folder, device="cpu")
    own = CrossEncoder(folder, device="cpu", activation_fn=nn.Sigmoid())  # the way that the message names
    np.testing.assert_allclose(
        own.predict(PAIRS), CrossEncoder(tiny_reranker, device="cpu").predict(PAIRS), atol=1e-6
    )
    dense = Dense(6, 4)
    dense.save(str(tmp_path))
    _edit(tmp_path / "config.json", activation_function=path)
    with pytest.raises(UntrustedCode, match="not one of torch"):
        Dense.load(str(tmp_path))
    with pytest.raises((UnsupportedModel, ModelConfigError)):
        runtime_dense(tmp_path)


@pytest.mark.parametrize(
    ("name", "arguments"), [("Threshold", None), ("ReLU", {"beta": 1}), ("ELU", [1]), ("Tanh", {"out": 1})]
)
def test_arguments_that_do_not_fit_are_an_error(tmp_path, name, arguments):
    Dense(6, 4).save(str(tmp_path))
    path = f"torch.nn.modules.activation.{name}"
    _edit(tmp_path / "config.json", activation_function=path, activation_function_arguments=arguments)
    for load in (lambda: Dense.load(str(tmp_path)), lambda: runtime_dense(tmp_path)):
        with pytest.raises(ModelConfigError, match="arguments"):
            load()


def test_saving_says_which_function_will_not_load(tmp_path, caplog):
    Dense(6, 4, activation_function=lambda x: x).save(str(tmp_path))
    assert "saved by its name alone, 'function'" in caplog.text


def _edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
