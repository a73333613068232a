"""Which route a Router takes, against a plain table of its seven rules: alone, and through ``encode``."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stlib import SentenceTransformer, errors
from stlib.models import InputModule, Normalize, Router

# How long an example takes says something of the machine, not of a Router.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

ROUTES = ("query", "document", "image", "own")
TASKS = (None, "query", "document", "other")
# A kind of several is a tuple in either order.
KINDS = (None, "text", "image", ("image", "text"), ("text", "image"))

tables = st.dictionaries(
    st.tuples(st.sampled_from(TASKS), st.sampled_from(KINDS)), st.sampled_from(ROUTES), max_size=5
)
routes = st.lists(st.sampled_from(ROUTES), unique=True, min_size=1).map(tuple)


@st.composite
def routers(draw):
    """Names of the routes, the mappings, the default and whether inputs without a task are taken."""
    names = draw(routes)
    mappings = {key: name for key, name in draw(tables).items() if name in names}
    return names, mappings, draw(st.sampled_from([None, *names])), draw(st.booleans())


def by_the_rules(names, mappings, default, allow_empty, task, kind):
    """The documented rules, one line each; None where none fits."""
    table = {(t, _sorted(k)): name for (t, k), name in mappings.items()}
    kind = _sorted(kind)
    fallback = names[0] if default is None and allow_empty else default
    rules = [
        table.get((task, kind)),
        table.get((task, None)),
        table.get((None, kind)),
        table.get((None, None)),
        task if task in names else None,
        kind if kind in names else None,
        fallback if task is None else None,
    ]
    return next((name for name in rules if name is not None), None)


def _sorted(kind):
    return tuple(sorted(kind)) if isinstance(kind, tuple) else kind


@unhurried
@given(routers())
def test_resolution_follows_the_rules(case):
    names, mappings, default, allow_empty = case
    router = Router({name: [Normalize()] for name in names}, default, allow_empty, mappings)
    for task, kind in itertools.product(TASKS, KINDS):
        expected = by_the_rules(*case, task, kind)
        if expected is None:
            with pytest.raises(errors.InvalidInput, match="no route for"):
                router.resolve_route(task, kind)
        else:
            assert router.resolve_route(task, kind) == expected


class Marker(InputModule):
    """Answers every input with the position of its route."""

    def __init__(self, position):
        super().__init__()
        self.position = position

    @property
    def modalities(self):
        return ["text", "image", ("image", "text")]

    def preprocess(self, inputs, prompt=None, **kwargs):
        return {"input_ids": torch.zeros(len(inputs), 1)}

    def forward(self, features, **kwargs):
        features["sentence_embedding"] = torch.full((len(features["input_ids"]), 1), float(self.position))
        return features

    def save(self, output_path, *args, **kwargs):
        self.save_config(output_path)


PICTURE = np.zeros((2, 2, 3))
INPUTS = {"text": "a text", "image": PICTURE, ("image", "text"): {"text": "a", "image": PICTURE}}


@unhurried
@given(routers(), st.sampled_from(TASKS), st.sampled_from(list(INPUTS)), st.sampled_from([None, *KINDS[1:]]))
def test_encode_takes_the_route_of_the_rules(case, task, kind, told):
    """The modality is inferred from the input unless ``modality=`` tells it."""
    names, mappings, default, allow_empty = case
    markers = {name: [Marker(position)] for position, name in enumerate(names)}
    model = SentenceTransformer(modules=[Router(markers, default, allow_empty, mappings)], device="cpu")
    keywords = {} if told is None else {"modality": told}
    expected = by_the_rules(*case, task, kind if told is None else told)
    if expected is None:
        with pytest.raises(errors.InvalidInput, match="no route for"):
            model.encode([INPUTS[kind]], task=task, **keywords)
    else:
        found = model.encode([INPUTS[kind]] * 3, task=task, **keywords)
        assert found.tolist() == [[names.index(expected)]] * 3


@unhurried
@given(routers())
def test_encode_query_and_document_name_their_tasks(case):
    names, mappings, default, allow_empty = case
    markers = {name: [Marker(position)] for position, name in enumerate(names)}
    model = SentenceTransformer(modules=[Router(markers, default, allow_empty, mappings)], device="cpu")
    for task, encode in (("query", model.encode_query), ("document", model.encode_document)):
        expected = by_the_rules(*case, task, "text")
        if expected is None:
            with pytest.raises(errors.InvalidInput):
                encode("a text")
        else:
            assert encode("a text").tolist() == [names.index(expected)]
