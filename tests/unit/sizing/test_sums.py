"""Sums of sizes and times, against values computed by hand and against a collection that is built."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from indexing import ChunkSettings, Collection
from indexing.documents.chunk import chunk_documents
from indexing.errors import BadInput
from indexing.sizing import (
    Limits,
    Machines,
    ModelFacts,
    Workload,
    add_up,
    disk,
    find_model,
    make_plan,
    vectors,
)
from indexing.sizing.measured import measured
from indexing.sizing.passages import passages_per_document, tokens_of
from indexing.sizing.times import Embedding
from stlib.runtime import Encoder

STATIC = ModelFacts("static", 256, 1_000_000.0, "given")
PLAIN = Workload(1_000_000, 500, STATIC)


def test_rows_of_sqlite_fill_pages_of_4096_bytes():
    # 256 bytes, 9 of head, a pointer of 2: 15 in 4,088 bytes. 1,024 bytes: 3. 4,096 bytes: 493 of them and a
    # page that overflows, 8 rows of which share a page.
    assert disk.code_bytes(256, "int8") == pytest.approx(4096 / 15 * 1.003)
    assert disk.code_bytes(1024, "int8") == pytest.approx(4096 / 3 * 1.003)
    assert disk.code_bytes(256, "float32") == disk.code_bytes(1024, "binary")
    assert disk.code_bytes(1024, "float32") == pytest.approx((4096 + 4096 / 8) * 1.003)


def test_rows_of_postgresql_fill_pages_of_8192_bytes():
    # 256 bytes and 36 of head, up to a multiple of 8, a pointer of 4: 27 in 8,168 bytes; 26 of an index.
    assert disk.code_bytes(256, "int8", "postgres") == pytest.approx(8192 / 27 + 26, rel=0.005)


def test_files_of_vectors_have_codes_keys_and_signs():
    row = measured()["views"]["row"]
    assert vectors.view_bytes(1000, 256, "int8") == pytest.approx(1000 * (256 + row))
    assert vectors.view_bytes(1000, 1024, "binary") == pytest.approx(1000 * (1024 + row + 128))
    held = measured()["memory"]["passage"]
    assert vectors.memory(1000, 1024, "binary").wanted == pytest.approx(1000 * (128 + row + held))
    assert vectors.memory(1000, 1024, "int8").wanted == pytest.approx(1000 * (1024 + row + held))
    links = measured()["milvus"]["connections"] * measured()["milvus"]["connection_bytes"]
    assert vectors.memory(1000, 1024, "float32", "milvus").resident == 1000 * (4096 + links + 8)
    assert vectors.memory(1000, 1024, "binary", "milvus").resident == 1000 * (128 + 8)


def test_a_document_longer_than_a_passage_makes_more():
    assert passages_per_document(0, 256, 32) == 1
    # exp(-256 / 256) reach a second passage, each further one exp(-224 / 256) of those before it.
    assert passages_per_document(256, 256, 32) == pytest.approx(1 + math.exp(-1) / (1 - math.exp(-0.875)))
    assert passages_per_document(1e6, 256, 32) == pytest.approx(1e6 / 224, rel=0.001)


@pytest.mark.parametrize(("max_tokens", "overlap"), [(256, 32), (64, 8)])
def test_passages_are_those_of_the_chunker(max_tokens, overlap, sample_texts):
    encoder = Encoder.load(None)
    settings = ChunkSettings(max_tokens, overlap)
    longer = ["\n".join(sample_texts[at : at + 8]) for at in range(0, 2400, 16)]
    for texts in (sample_texts[::4], longer):
        real = sum(map(len, chunk_documents(texts, encoder.token_spans, settings))) / len(texts)
        mean = sum(map(len, texts)) / len(texts)
        assert passages_per_document(tokens_of(mean), max_tokens, overlap) == pytest.approx(real, rel=0.15)


def test_embedding_is_shared_and_storing_is_not():
    cost = measured()["store"]["sqlite"]
    store = 1e6 * (cost["document"] + 500 * cost["character"]) + PLAIN.passages * cost["passage"]
    work = Embedding.of(PLAIN, "sqlite")
    assert work.store == pytest.approx(store)
    assert work.model == pytest.approx(PLAIN.tokens / 1_000_000)
    assert work.side_by_side(1) == work.one_core
    assert work.side_by_side(10**6) == work.store
    beside = replace(PLAIN, sparse=ModelFacts("terms", 0, 100_000.0))
    assert Embedding.of(beside, "sqlite").model == pytest.approx(11 * work.model)
    assert Embedding.of(beside.at_speed(50), "sqlite").model == pytest.approx(PLAIN.passages / 50)
    slow = Embedding.of(PLAIN.at_speed(50), "sqlite")
    assert slow.model == pytest.approx(PLAIN.passages / 50)
    assert slow.side_by_side(10) < slow.one_core / 5


def test_nothing_shrinks_when_there_is_more():
    for setup in ("sqlite", "postgres", "ray"):
        for one, more in pairwise(
            add_up(PLAIN.of_documents(10**power), setup, Machines(), Limits()) for power in range(3, 10)
        ):
            assert more.disk_bytes > one.disk_bytes and more.memory.wanted > one.memory.wanted
            assert more.search_ms >= one.search_ms and more.embedding_seconds > one.embedding_seconds
            assert set(one.missed) <= set(more.missed)
    widths = [vectors.search_ms(10**6, width, "int8") for width in (256, 384, 768, 1024)]
    assert widths == sorted(widths)
    lengths = [
        disk.document_bytes(length, 60, base) for base in disk.DATABASES for length in range(1, 9000, 7)
    ]
    assert all(b > a for a, b in pairwise(lengths[: len(lengths) // 2]))


def test_milvus_takes_longer_with_more_parts_and_less_with_more_threads():
    few, many = (vectors.search_ms(n, 1024, "int8", "milvus", threads=8) for n in (10**6, 10**9))
    assert few < many
    known = measured()
    graph = known["search"]["graphs"]["usearch"]
    codes = 200 * known["search"]["code"]
    assert few == pytest.approx(
        known["milvus"]["request"] + graph * math.log(10**6 / 1.08, 10**5) + codes, rel=0.05
    )
    alone, shared = (vectors.search_ms(10**9, 1024, "binary", "milvus", threads=n) for n in (1, 32))
    assert alone > 10 * shared


def test_codes_that_memory_has_no_room_for_wait_for_the_disk():
    work = replace(PLAIN.of_documents(10_000_000), precision="binary")
    roomy, tight = (add_up(work, "sqlite", Machines(memory=size), Limits()) for size in (1e12, 1.0))
    assert vectors.candidates("binary") == 2_000 and vectors.candidates("int8") == 0
    waiting = 2_000 * measured()["search"]["disk_read"]
    assert tight.search_ms - roomy.search_ms == pytest.approx(waiting)
    half = add_up(work, "sqlite", Machines(memory=roomy.memory.wanted + roomy.memory.rest / 2), Limits())
    assert half.search_ms - roomy.search_ms == pytest.approx(waiting / 2) and "memory" not in half.missed


def test_a_model_takes_memory_once_and_replicas_multiply_that_of_milvus():
    light, heavy = (replace(PLAIN, model=replace(STATIC, memory=size)) for size in (0.0, 1.3e9))
    sums = [add_up(one, "ray", Machines(), Limits()).memory.resident for one in (light, heavy)]
    assert sums[1] - sums[0] == pytest.approx(1.3e9)
    once, twice = (add_up(PLAIN, "ray", Machines(replicas=n), Limits()).each for n in (1, 2))
    assert twice == 2 * once
    assert find_model("mxbai-embed-large-v1").memory > 4 * 24 * 12 * 1024**2


def test_the_first_way_that_keeps_every_bound_is_advised():
    small = make_plan(PLAIN.of_documents(10_000))
    assert small.advised == "sqlite" and small.best.missed == ()
    sqlite = small.steps[0]
    assert sqlite.setup == "sqlite"
    just = make_plan(PLAIN.of_documents(sqlite.documents))
    beyond = make_plan(PLAIN.of_documents(round(sqlite.documents * 1.01)))
    assert just.advised == "sqlite" and beyond.advised != "sqlite"
    assert beyond.sums[0].missed == sqlite.ends_by
    assert make_plan(PLAIN, limits=Limits(search_ms=0.001)).advised == "ray"  # none: the last
    bound_by_memory = make_plan(PLAIN, Machines(memory=1e8))
    assert "memory" in bound_by_memory.sums[0].missed and bound_by_memory.steps[0].ends_by == ("memory",)
    slow = make_plan(PLAIN.at_speed(5), limits=Limits(hours=1))
    assert slow.steps[0].ends_by == ("hours",)
    needed = slow.workers_needed
    misses = [
        add_up(slow.workload, "ray", Machines(workers=n), slow.limits).missed for n in (needed - 1, needed)
    ]
    assert ["hours" in missed for missed in misses] == [True, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"documents": 0}, "0 documents"),
        ({"length": 0}, "0 characters"),
        ({"precision": "int4"}, "precision 'int4': use one of float32"),
        ({"model": ModelFacts("", 0)}, "dimension 0"),
    ],
)
def test_numbers_that_no_collection_has_are_refused(change, message):
    with pytest.raises(BadInput, match=message):
        Workload(**{**vars(PLAIN), **change})
    with pytest.raises(BadInput, match="engine 'flann': use one of faiss"):
        vectors.search_ms(1, 256, "int8", "flann")


def test_models_are_known_by_name_or_read_from_their_folder(tmp_path, bge_small):
    assert find_model(None).dimension == 256
    assert find_model("sentence-transformers/all-MiniLM-L6-v2").how == "measured"
    assert find_model("nobody/nothing") is None
    bge = find_model(str(bge_small))
    known = measured()["models"]["bge-small-en"]["tokens_per_second"]
    assert (bge.dimension, bge.tokens_per_second, bge.how) == (384, pytest.approx(known), "estimated")
    assert find_model(str(bge_small / "model.onnx")) == bge
    # As many layers as MiniLM, half as wide, with a last layer that widens to 512, cut to 300.
    for name, content in {
        "modules.json": [
            {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"idx": 2, "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
        ],
        "config.json": {"hidden_size": 192, "num_hidden_layers": 6},
        "model.safetensors": {},
        "1_Pooling/config.json": {"word_embedding_dimension": 192, "pooling_mode_mean_tokens": True},
        "2_Dense/config.json": {"in_features": 192, "out_features": 512},
        "config_sentence_transformers.json": {"truncate_dim": 300},
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    found = find_model(str(tmp_path))
    rate = measured()["models"]["all-MiniLM-L6-v2"]["tokens_per_second"]
    assert (found.dimension, found.tokens_per_second) == (300, pytest.approx(4 * rate))
    (tmp_path / "modules.json").write_text("{")
    with pytest.raises(BadInput, match=r"cannot be read: .*not valid JSON"):
        find_model(str(tmp_path))


def test_a_model_in_the_cache_is_read_there(tmp_path, monkeypatch):
    snapshot = tmp_path / "models--someone--model" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (tmp_path / "models--someone--model" / "refs").mkdir()
    (tmp_path / "models--someone--model" / "refs" / "main").write_text("0" * 40)
    (snapshot / "config.json").write_text(json.dumps({"hidden_size": 768, "num_hidden_layers": 12}))
    (snapshot / "model.safetensors").write_text("")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    found = find_model("someone/model")
    assert (found.name, found.dimension, found.how) == ("someone/model", 768, "estimated")
    assert find_model("someone/other") is None


def test_the_sums_are_those_of_a_collection_that_is_built(home, sample_texts):
    """Two thousand passages: within 15 %, but for what an empty catalog takes."""
    texts = [text for text in sample_texts if 100 < len(text) < 800][:2000]
    documents = [{"id": f"folder/file-{i}", "text": text} for i, text in enumerate(texts)]
    rows = np.random.default_rng(0).normal(size=(len(texts), 384)).astype(np.float32)
    with Collection.create("built", home=home, dimension=384, precision="binary") as built:
        built.add(documents, vectors=rows)
        built.compact()
        now, info = built.sums(), built.info()
        empty = 190_000  # tables and indexes of a page or more each
        assert info.catalog_bytes - empty == pytest.approx(now.catalog_sum, rel=0.15)
        assert info.view_bytes == pytest.approx(now.view_sum, rel=0.15)
        mapped = vectors.memory(len(texts), 384, "binary")
        assert info.mapped_bytes == pytest.approx(mapped.mapped + mapped.rest, rel=0.15)
        assert now.workload.passages == len(texts) and now.workload.fields == 0
        assert now.workload.length == pytest.approx(sum(map(len, texts)) / len(texts), rel=0.1)
        assert Path(info.path).exists()
