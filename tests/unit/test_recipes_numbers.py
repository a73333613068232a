"""Numbers without a meaning are refused by every recipe, before anything is read."""

from __future__ import annotations

import argparse
import importlib
import math

import pytest

from stlib.recipes import _numbers

WRONG = {
    "positive": ["0", "-1", "1.5", "x", ""],
    "natural": ["-1", "0.5", "x"],
    "seed": ["-1", "4294967296", "1.0"],
    "number": ["nan", "inf", "-inf", "x", ""],
    "positive_number": ["0", "-0.1", "nan", "inf"],
    "part": ["-0.1", "1", "nan"],
    "positive_part": ["0", "1", "-1"],
}
RIGHT = [
    ("positive", "1", 1),
    ("natural", "0", 0),
    ("seed", "4294967295", 4294967295),
    ("number", "-1e-3", -0.001),
    ("positive_number", "2e-5", 2e-5),
    ("part", "0", 0.0),
    ("positive_part", "0.15", 0.15),
]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind in WRONG for text in WRONG[kind]])
def test_numbers_without_a_meaning_are_refused(kind, text):
    with pytest.raises(argparse.ArgumentTypeError, match="is no "):
        getattr(_numbers, kind)(text)


@pytest.mark.parametrize(("kind", "text", "value"), RIGHT)
def test_numbers_are_read(kind, text, value):
    found = getattr(_numbers, kind)(text)
    assert (found, type(found)) == (value, type(value))
    assert math.isfinite(found)


@pytest.mark.parametrize(
    ("recipe", "argument", "text"),
    [
        ("cross_encoder_msmarco", "--depth", "0"),
        ("cross_encoder_msmarco", "--depth", "-1"),
        ("cross_encoder_msmarco", "--epochs", "-1"),
        ("cross_encoder_msmarco", "--max-length", "0"),
        ("cross_encoder_distillation", "--negatives", "-4"),
        ("sts", "--seed", "-1"),
        ("sts", "--learning-rate", "nan"),
        ("sts", "--warmup", "1.5"),
        ("sts", "--save-steps", "-1"),
        ("kmeans", "--seed", "-1"),
        ("fast_clustering", "--threshold", "nan"),
        ("tsdae", "--deleted", "2"),
    ],
)
def test_recipes_name_the_argument_and_the_number(recipe, argument, text, capsys):
    with pytest.raises(SystemExit) as end:
        importlib.import_module(f"stlib.recipes.{recipe}").main([argument, text])
    assert end.value.code == 2
    assert f"error: argument {argument}: {text!r} is no " in capsys.readouterr().err
