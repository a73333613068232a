"""Router: resolution by the table of its rules, vectors and files as in the reference."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

import stlib
from stlib import SentenceTransformer, errors
from stlib.base.modality import infer_batch_modality, infer_modality
from stlib.models import Asym, Dense, Module, Normalize, Pooling, Router, StaticEmbedding, Transformer

pytestmark = pytest.mark.parity

SOME = ["How do I sort a list?", "short", "", "the quick brown fox jumps over the lazy dog"]

TASKS = [None, "query", "document", "other"]
KINDS = [None, "text", "image", ("image", "text"), ("text", "image")]


@pytest.fixture(scope="module")
def theirs(reference):
    return pytest.importorskip("sentence_transformers.sentence_transformer.modules")


def linear(modules, seed, out=6):
    torch.manual_seed(seed)
    return modules.Dense(32, out)


keys = st.tuples(st.sampled_from(TASKS), st.sampled_from(KINDS))
names = st.sampled_from(["query", "document", "image", "own"])


@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    mappings=st.dictionaries(keys, names, max_size=4),
    default=st.sampled_from([None, "own", "query"]),
    allow_empty=st.booleans(),
)
def test_resolution_equals_the_reference(theirs, mappings, default, allow_empty):
    routes = ("query", "document", "image", "own")
    ours = Router({name: [Normalize()] for name in routes}, default, allow_empty, mappings)
    their = theirs.Router({name: [theirs.Normalize()] for name in routes}, default, allow_empty, mappings)
    assert ours.default_route == their.default_route
    for task, kind in itertools.product(TASKS, KINDS):
        try:
            expected = their._resolve_route(task, kind)
        except ValueError:
            with pytest.raises(ValueError, match="no route for"):
                ours.resolve_route(task, kind)
        else:
            assert ours.resolve_route(task, kind) == expected, (task, kind)


def build(modules, library, tiny_bert, **options):
    tokenizer = Tokenizer.from_file(f"{tiny_bert}/tokenizer.json")
    table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 32)).astype(np.float32)
    router = modules.Router.for_query_document(
        query_modules=[modules.StaticEmbedding(tokenizer, table), linear(modules, 1)],
        document_modules=[modules.Transformer(tiny_bert), modules.Pooling(32), linear(modules, 2)],
    )
    return library.SentenceTransformer(modules=[router, modules.Normalize()], device="cpu", **options)


def same(a, b):
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


def test_query_and_document_routes_equal_and_are_exchanged(tiny_bert, theirs, reference, tmp_path):
    import stlib
    import stlib.models as modules

    prompts = {"query": "query: ", "document": "the "}
    ours, their = (
        build(modules, stlib, tiny_bert, prompts=prompts),
        build(theirs, reference, tiny_bert, prompts=prompts),
    )
    assert ours.get_embedding_dimension() == their.get_embedding_dimension() == 6
    assert set(ours.get_model_kwargs()) == set(their.get_model_kwargs())
    assert ours.max_seq_length == their.max_seq_length
    assert ours.modalities == their.modalities == ["text"]
    ours.save(tmp_path / "ours")
    their.save(str(tmp_path / "theirs"))
    config = json.loads((tmp_path / "ours" / "router_config.json").read_text())
    assert config["types"]["query_0_StaticEmbedding"] == "sentence_transformers.models.StaticEmbedding"
    loaded = [SentenceTransformer(tmp_path / "theirs"), reference.SentenceTransformer(str(tmp_path / "ours"))]
    for model in [ours, *loaded, SentenceTransformer(tmp_path / "ours")]:
        same(model.encode_query(SOME), their.encode_query(SOME))
        same(model.encode_document(SOME), their.encode_document(SOME))
        same(model.encode(SOME), their.encode(SOME))
        same(model.encode(SOME, task="query"), their.encode(SOME, task="query"))
        same(model.encode([{"query": text} for text in SOME]), their.encode(SOME, task="query"))
        with pytest.raises(ValueError):
            model.encode(SOME, task="nope")
    assert np.abs(ours.encode_query(SOME) - ours.encode_document(SOME)).max() > 0.1


def test_a_router_of_two_whole_models_as_documented(tiny_bert, theirs, reference, tmp_path):
    """``list(model.children())`` of a static and of a transformer model, and Normalize behind both."""
    tokenizer = Tokenizer.from_file(f"{tiny_bert}/tokenizer.json")
    table = np.random.default_rng(1).normal(size=(tokenizer.get_vocab_size(), 32)).astype(np.float32)
    models = []
    for library, M in ((stlib, stlib.models), (reference, theirs)):
        document_embedder = library.SentenceTransformer(tiny_bert, device="cpu")
        query_embedder = library.SentenceTransformer(
            modules=[M.StaticEmbedding(tokenizer, table)], device="cpu"
        )
        router = M.Router.for_query_document(
            query_modules=list(query_embedder.children()),
            document_modules=list(document_embedder.children()),
        )
        models.append(library.SentenceTransformer(modules=[router, M.Normalize()], device="cpu"))
    ours, their = models
    ours.save(tmp_path / "m")
    for model in (ours, SentenceTransformer(tmp_path / "m", device="cpu")):
        same(model.encode_query("how do i sort"), their.encode_query("how do i sort"))
        same(model.encode_document(SOME), their.encode_document(SOME))
        scores = model.similarity(model.encode_query(SOME), model.encode_document(SOME))
        same(scores, their.similarity(their.encode_query(SOME), their.encode_document(SOME)))


def test_shared_modules_are_stored_and_loaded_once(tiny_bert, theirs, reference, tmp_path):
    shared = Transformer(tiny_bert)
    router = Router({"query": [shared, Pooling(32, "cls")], "document": [shared, Pooling(32, "max")]})
    model = SentenceTransformer(modules=[router], device="cpu")
    model.save(tmp_path / "m")
    assert sorted(p.name for p in (tmp_path / "m").iterdir() if p.is_dir()) == [
        "document_1_Pooling",
        "query_0_Transformer",
        "query_1_Pooling",
    ]
    again = SentenceTransformer(tmp_path / "m", device="cpu")
    assert again[0].sub_modules["query"][0] is again[0].sub_modules["document"][0]
    theirs_again = reference.SentenceTransformer(str(tmp_path / "m"), device="cpu")
    for name in ("encode_query", "encode_document"):
        same(getattr(again, name)(SOME), getattr(model, name)(SOME))
        same(getattr(theirs_again, name)(SOME), getattr(model, name)(SOME))


def test_mappings_and_nested_routers_are_kept(tiny_bert, tmp_path):
    inner = Router({"plain": [Dense(32, 4)], "image": [Dense(32, 4)]}, default_route="plain")
    mappings = {("query", "text"): "fast", (None, ("text", "image")): "slow", ("document", None): "slow"}
    outer = Router(
        {
            "fast": [Transformer(tiny_bert), Pooling(32), inner],
            "slow": [Transformer(tiny_bert), Pooling(32, "cls")],
        },
        default_route=None,
        allow_empty_key=False,
        route_mappings=mappings,
    )
    model = SentenceTransformer(modules=[outer], device="cpu")
    with pytest.raises(errors.InvalidInput, match="no route for task=None"):
        model.encode(SOME)
    vectors = model.encode_document(SOME)
    model.save(tmp_path / "m")
    again = SentenceTransformer(tmp_path / "m", device="cpu")
    assert again[0].route_mappings == outer.route_mappings
    assert again[0].default_route is None
    same(again.encode_document(SOME), vectors)


def test_older_asym_behind_a_transformer(tiny_bert, theirs, tmp_path):
    """The documented example: texts marked by their key, projected by the module of that key."""
    query, doc = linear(theirs, 1, out=5), linear(theirs, 2, out=5)

    def own(dense):
        module = Dense(32, 5)
        module.load_state_dict(dense.state_dict())
        return module

    asym = Asym({"query": [own(query)], "doc": [own(doc)]}, allow_empty_key=False)
    model = SentenceTransformer(modules=[Transformer(tiny_bert), Pooling(32), asym], device="cpu")
    pooled = SentenceTransformer(modules=list(model)[:2], device="cpu").encode(SOME, convert_to_tensor=True)
    for key, dense in (("query", query), ("doc", doc)):
        expected = dense({"sentence_embedding": pooled})["sentence_embedding"].detach()
        same(model.encode([{key: text} for text in SOME]), expected)
        same(model.encode({key: SOME[0]}), expected[0])
        same(model.encode(SOME, task=key), expected)
    with pytest.raises(ValueError, match="doc, query"):
        model.encode([{"query": "a"}, {"doc": "b"}])
    with pytest.raises(ValueError, match="no route"):
        model.encode("a")
    # A folder of the generation that called it Asym
    model.save(tmp_path / "m")
    entries = json.loads((tmp_path / "m" / "modules.json").read_text())
    assert entries[2]["path"] == "2_Router"
    entries[2].update(path="2_Asym", type="sentence_transformers.models.Asym")
    (tmp_path / "m" / "modules.json").write_text(json.dumps(entries))
    folder = (tmp_path / "m" / "2_Router").rename(tmp_path / "m" / "2_Asym")
    config = json.loads((folder / "router_config.json").read_text())
    config["parameters"] = {"allow_empty_key": False}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "router_config.json").unlink()
    again = SentenceTransformer(tmp_path / "m", device="cpu")
    same(again.encode([{"doc": text} for text in SOME]), model.encode(SOME, task="doc"))


def test_hostile_and_damaged_routers_are_refused(tiny_bert, tmp_path):
    router = Router(
        {"query": [StaticEmbedding(Tokenizer.from_file(f"{tiny_bert}/tokenizer.json"), embedding_dim=4)]}
    )
    SentenceTransformer(modules=[router]).save(tmp_path / "m")
    path = tmp_path / "m" / "router_config.json"
    good = json.loads(path.read_text())

    def refuse(error, said, **changes):
        path.write_text(json.dumps({**good, **changes}))
        with pytest.raises(error, match=said):
            SentenceTransformer(tmp_path / "m")

    refuse(errors.UntrustedCode, "os.system", types={"query_0_StaticEmbedding": "os.system"})
    refuse(errors.UnsafePath, "leaves", types={"../x": "sentence_transformers.models.StaticEmbedding"})
    refuse(errors.ModelConfigError, "does not describe a Router", structure={"query": ["other"]})
    parameters = {**good["parameters"], "route_mappings": {"__import__('os').getcwd()": "query"}}
    refuse(errors.ModelConfigError, "is no key", parameters=parameters)
    parameters = {**good["parameters"], "default_route": "nope"}
    refuse(errors.ModelConfigError, "there is no route 'nope'", parameters=parameters)
    with pytest.raises(errors.InvalidOption, match="at least one route"):
        Router({})


def test_modalities_are_inferred():
    assert (
        infer_modality("a text")
        == infer_modality(("two", "texts"))
        == infer_modality({"text": "a"})
        == "text"
    )
    assert infer_modality("https://a.b/c.PNG?x=1", ["text"]) == "text"
    assert infer_modality("https://a.b/c.PNG?x=1") == "image"
    assert infer_modality("https://a.b/c.PNG?x=1", ["text", "image"]) == "image"
    assert infer_modality({"text": "a", "image": np.zeros((2, 2, 3))}) == ("image", "text")
    assert infer_modality(np.zeros(16000)) == infer_modality({"array": [], "sampling_rate": 1}) == "audio"
    assert infer_modality(torch.zeros(3, 8, 8)) == "image"
    assert infer_modality(np.zeros((4, 3, 8, 8))) == "video"
    assert (
        infer_modality({"role": "user", "content": "hi"})
        == infer_modality([{"role": "user", "content": ""}])
        == "message"
    )
    assert infer_batch_modality(["a", "b"]) == "text"
    # only a conversation can join several kinds
    assert infer_batch_modality(["a", np.zeros((2, 2, 3))]) == "message"
    with pytest.raises(errors.InvalidInput, match="int is no input"):
        infer_modality(3)


class Shift(Module):
    """A module of a script, which is not importable by its saved type."""

    def forward(self, features, **kwargs):
        features["sentence_embedding"] = features["sentence_embedding"] + 1
        return features

    def save(self, output_path, *args, **kwargs):
        self.save_config(output_path)


def test_classes_given_for_saved_types(tiny_bert, tmp_path):
    router = Router({"query": [Transformer(tiny_bert), Pooling(32), Shift()]})
    model = SentenceTransformer(modules=[router], device="cpu")
    model.save(tmp_path / "m")
    with pytest.raises(errors.UntrustedCode, match="Shift"):
        Router.load(str(tmp_path / "m"))
    again = Router.load(str(tmp_path / "m"), module_classes={f"{Shift.__module__}.Shift": Shift})
    same(SentenceTransformer(modules=[again], device="cpu").encode(SOME), model.encode(SOME))


def test_code_on_the_hub_inside_a_route(tiny_bert, tmp_path):
    """Where to look for it reaches the modules of a route as it reaches those of a model."""
    router = Router({"query": [Transformer(tiny_bert), Pooling(32), Normalize()]})
    model = SentenceTransformer(modules=[router], device="cpu")
    model.save(tmp_path / "m")
    path = tmp_path / "m" / "router_config.json"
    config = json.loads(path.read_text())
    config["types"]["query_2_Normalize"] = "some-user/some-code--unit_module.Unit"
    path.write_text(json.dumps(config))
    snapshot = tmp_path / "cache" / "models--some-user--some-code" / "snapshots" / ("3" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "unit_module.py").write_text(
        "from stlib.models import Normalize\nclass Unit(Normalize): pass\n"
    )
    (snapshot.parent.parent / "refs").mkdir()
    (snapshot.parent.parent / "refs" / "main").write_text("3" * 40)
    options = {"device": "cpu", "cache_folder": str(tmp_path / "cache"), "local_files_only": True}
    with pytest.raises(errors.UntrustedCode, match="some-user/some-code"):
        SentenceTransformer(tmp_path / "m", **options)
    again = SentenceTransformer(tmp_path / "m", trust_remote_code=True, **options)
    same(again.encode(SOME), model.encode(SOME))


def test_inputs_of_several_kinds_or_tasks_are_refused_by_both(tiny_bert, theirs, reference):
    models = [
        library.SentenceTransformer(
            modules=[M.Router({"a": [M.Transformer(tiny_bert), M.Pooling(32)]})], device="cpu"
        )
        for library, M in ((stlib, stlib.models), (reference, theirs))
    ]
    for inputs in (["a", np.zeros((2, 2, 3))], [{"text": "a"}, {"image": np.zeros((2, 2, 3))}], [3], [None]):
        for model in models:
            with pytest.raises((ValueError, TypeError)):
                model.encode(inputs)
    with pytest.raises(errors.InvalidInput, match="one batch names the tasks a, b"):
        models[0].encode([{"a": "x"}, {"b": "y"}])
