"""The settings of a transformers module: tasks, chosen outputs, lengths, files; equal to the reference."""

from __future__ import annotations

import json
import logging
import shutil
from typing import Any

import numpy as np
import pytest
import torch

import stlib
from stlib import errors
from stlib.sentence_transformer.modules import CLIPModel, Pooling, Transformer

Image = pytest.importorskip("PIL.Image", reason="pictures need pillow: pip install '.[image]'")

TEXTS = ["a quick brown fox", "the lazy dog of the list", "fox", "a long text of words " * 6]


def _noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)


SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "initializer_range": 0.3,
}
PICTURES = [Image.fromarray(_noise(i, 40 + 7 * i, 50, 3)) for i in range(3)]
SOUNDS = [(np.random.default_rng(n).normal(size=n) / 10).astype(np.float32) for n in (3000, 9000)]


def close(ours: Any, theirs: Any, atol: float = 1e-5) -> None:
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=0, atol=atol)


# -- tasks, outputs and settings of the module


def _modules(reference: Any) -> Any:
    from sentence_transformers.sentence_transformer import modules

    return modules


def _compare(
    reference: Any, folder: str, inputs: list[Any], call: dict[str, Any] | None = None, **options: Any
) -> torch.Tensor:
    ours, theirs = Transformer(folder, **options), _modules(reference).Transformer(folder, **options)
    assert ours.get_config_dict() == theirs.get_config_dict()
    assert ours.module_output_name == theirs.module_output_name
    our_features, their_features = (
        ours.preprocess(inputs, **call or {}),
        theirs.preprocess(inputs, **call or {}),
    )
    assert set(our_features) == set(their_features)
    with torch.inference_mode():
        output = ours(our_features)[ours.module_output_name]
        expected = theirs(their_features)[ours.module_output_name]
    assert output.shape == expected.shape
    mask = our_features.get("attention_mask")
    if mask is None or mask.shape != output.shape[:2]:
        close(output, expected)
        return output
    # What stands at padding has no meaning, unless queries are filled up with it.
    read = mask.bool() | our_features.get("query_expansion_positions", torch.zeros_like(mask)).bool()
    close(output[read], expected[read])
    return output


@pytest.fixture(scope="session")
def heads(tmp_path_factory, save_tokenizer) -> dict[str, str]:
    """A BERT with a head for every task that wants one."""
    from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("heads")
    config = BertConfig(**SMALL, pad_token_id=0, vocab_size=200, max_position_embeddings=64)
    torch.manual_seed(8)
    for name, cls in {"mask": BertForMaskedLM, "three": BertForSequenceClassification}.items():
        config.num_labels = 3
        cls(config).eval().save_pretrained(folder / name)
        save_tokenizer(folder / name)
    return {name: str(folder / name) for name in ("mask", "three")}


def test_every_task_equals(heads, qwen_folder, llava_folder, reference, tmp_path):
    assert _compare(reference, heads["mask"], TEXTS, transformer_task="fill-mask").shape[-1] == 200
    pairs = [("a fox", "a dog"), ("list", "of keys and words")]
    scores = _compare(reference, heads["three"], pairs, transformer_task="sequence-classification")
    assert scores.shape == (2, 3)
    plain = {"modality_config": {"text": {"method": "forward", "method_output_name": "logits"}}}
    plain["module_output_name"] = "causal_logits"
    for task in ("text-generation", "any-to-any"):
        folder = qwen_folder if task == "text-generation" else llava_folder
        assert _compare(reference, folder, TEXTS, transformer_task=task).shape[:2] == (4, 1)
    every = {"processing_kwargs": {"text": {"logits_to_keep": 0}}}
    assert (
        _compare(reference, qwen_folder, TEXTS, every, transformer_task="text-generation", **plain).shape[1]
        > 1
    )
    _compare(reference, llava_folder, ["fox", PICTURES[0]], transformer_task="any-to-any")

    right = {"processing_kwargs": {"text": {"padding_side": "right"}}, "transformer_task": "text-generation"}
    with pytest.raises(errors.InvalidOption, match="inputs end in padding"):
        Transformer(qwen_folder, **right, **plain).preprocess(TEXTS)
    with pytest.raises(errors.InvalidOption, match="'seq2seq' is unknown; use one of: feature-extraction"):
        Transformer(qwen_folder, transformer_task="seq2seq")
    # A model without such a head gets one for a single score.
    single = Transformer(heads["mask"], transformer_task="sequence-classification")
    with torch.inference_mode():
        assert single(single.preprocess(pairs))["scores"].shape == (2, 1)


def test_chosen_outputs_equal(heads, clip_folder, reference):
    def entry(output: Any, method: str = "forward") -> dict[str, Any]:
        return {"method": method, "method_output_name": output}

    bert = heads["mask"]
    tokens = {"module_output_name": "token_embeddings"}
    _compare(reference, bert, TEXTS, modality_config={"text": entry(["hidden_states", 1])}, **tokens)
    text_tower = {"text": entry("pooler_output", "get_text_features")}
    options = {"modality_config": text_tower, "module_output_name": "sentence_embedding"}
    assert _compare(reference, clip_folder, TEXTS, **options).shape == (4, 24)
    nested = {("image", "text"): entry(["vision_model_output", "last_hidden_state"])}
    both = [{"image": PICTURES[0], "text": "fox"}]
    assert _compare(reference, clip_folder, both, modality_config=nested, **tokens).shape == (1, 5, 32)

    with pytest.raises(errors.InvalidOption, match="needs module_output_name"):
        Transformer(bert, modality_config={"text": entry("logits")})
    with pytest.raises(errors.InvalidOption, match="must be a dict with 'method'"):
        Transformer(bert, modality_config={"text": {"method": "forward"}}, **tokens)
    absent = Transformer(bert, modality_config={"text": entry("no_output")}, **tokens)
    with pytest.raises(errors.ModelConfigError, match="gives no output 'no_output'; it gives: last_hidden"):
        absent(absent.preprocess(["a"]))
    absent = Transformer(bert, modality_config={"text": entry(None, "no_method")}, **tokens)
    with pytest.raises(errors.InvalidOption, match="'no_method', which BertModel does not have"):
        absent(absent.preprocess(["a"]))


def test_lengths_and_expansion_equal(heads, reference, caplog):
    bert = heads["mask"]
    lengths = {"query_length": 5, "document_length": 9}
    for task, length in (("query", 5), ("document", 9)):
        assert _compare(reference, bert, TEXTS, {"task": task}, **lengths).shape[1] == length
    assert _compare(reference, bert, TEXTS, {"task": "query", "max_length": 6}, **lengths).shape[1] == 6
    _compare(reference, bert, TEXTS, {"processing_kwargs": {"common": {"padding": "max_length"}}})
    _compare(reference, bert, ["A FOX"], do_lower_case=True)
    with caplog.at_level(logging.ERROR):
        for expansion in (
            {"strategy": "fixed", "length": 16},
            {"strategy": "fixed", "length": 16, "attend": True},
            {"strategy": "min", "length": 8, "token": "fox"},
            {"strategy": "min", "length": 8, "attend": True},
        ):
            _compare(reference, bert, TEXTS[:3], {"task": "query"}, query_expansion=expansion)
            _compare(reference, bert, TEXTS, {"task": "document"}, query_expansion=expansion)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"query_expansion": {"strategy": "most", "length": 8}}, "'most'; use one of"),
        ({"query_expansion": {"strategy": "min"}}, "fill up to"),
        ({"query_expansion": {"strategy": "min", "length": 8, "size": 3}}, "has the keys size"),
        ({"query_expansion": {"strategy": "min", "length": 8, "token": "qqq"}}, "does not know"),
        ({"query_expansion": {"strategy": "min", "length": 8}, "query_length": 4}, "raise the one"),
        ({"processing_kwargs": {"texts": {}}}, "has the groups texts; use common, text"),
    ]
    for options, match in wrong:
        with pytest.raises(errors.InvalidOption, match=match):
            Transformer(bert, **options)
        if "processing_kwargs" not in options:
            with pytest.raises(ValueError, match=r"."):
                _modules(reference).Transformer(bert, **options)


# -- files


@pytest.mark.parametrize("kind", ["clip", "whisper", "llava"])
def test_each_library_loads_what_the_other_saved(kind, request, reference, tmp_path):
    folder = request.getfixturevalue(f"{kind}_folder")
    inputs = SOUNDS if kind == "whisper" else PICTURES
    theirs = reference.SentenceTransformer(folder, device="cpu")
    expected = theirs.encode(inputs)
    stlib.SentenceTransformer(folder, device="cpu").save(str(tmp_path / "ours"))
    theirs.save(str(tmp_path / "theirs"))

    again = reference.SentenceTransformer(str(tmp_path / "ours"), device="cpu")
    assert again.modalities == theirs.modalities
    close(again.encode(inputs), expected)
    for folder in ("ours", "theirs"):
        loaded = stlib.SentenceTransformer(str(tmp_path / folder), device="cpu")
        assert loaded.modalities == theirs.modalities
        close(loaded.encode(inputs), expected)


def test_folders_of_the_older_clip_module_load(clip_folder, reference, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(clip_folder, old / "0_CLIPModel")
    entry = {"idx": 0, "name": "0", "path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"}
    (old / "modules.json").write_text(json.dumps([entry]))

    ours = stlib.SentenceTransformer(str(old), device="cpu")
    theirs = reference.SentenceTransformer(str(old), device="cpu")
    assert type(ours[0]) is CLIPModel
    assert ours[0].modality_config == theirs[0].modality_config
    for inputs in (TEXTS, PICTURES):
        close(ours.encode(inputs), theirs.encode(inputs))
    ours.save(str(tmp_path / "new"))
    close(reference.SentenceTransformer(str(tmp_path / "new")).encode(PICTURES), theirs.encode(PICTURES))
    built = stlib.SentenceTransformer(
        modules=[CLIPModel(clip_folder, processor_name=clip_folder)], device="cpu"
    )
    close(built.encode(PICTURES), theirs.encode(PICTURES))


def test_a_text_model_saved_before_modalities_takes_text_only(clip_folder, reference, tmp_path, heads):
    shutil.copytree(heads["mask"], tmp_path / "old")
    (tmp_path / "old" / "sentence_bert_config.json").write_text(
        '{"max_seq_length": 20, "do_lower_case": false}'
    )
    entry = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
    (tmp_path / "old" / "modules.json").write_text(json.dumps([entry]))
    ours = stlib.SentenceTransformer(str(tmp_path / "old"), device="cpu")
    theirs = reference.SentenceTransformer(str(tmp_path / "old"), device="cpu")
    assert ours[0].modality_config == theirs[0].modality_config
    assert ours.max_seq_length == theirs.max_seq_length == 20


def test_code_in_a_folder_does_not_run(vit_folder, tmp_path):
    folder = tmp_path / "foreign"
    shutil.copytree(vit_folder, folder)
    marker = tmp_path / "ran"
    (folder / "code.py").write_text(f"open({str(marker)!r}, 'w').close()\nclass Reader: pass\n")
    for name, key in (("preprocessor_config.json", "AutoProcessor"), ("config.json", "AutoConfig")):
        path = folder / name
        config = json.loads(path.read_text())
        config.update(auto_map={key: "code.Reader"}, processor_class="Reader", image_processor_type="Reader")
        if name == "config.json":
            config["model_type"] = "never_heard_of"
        path.write_text(json.dumps(config))
        with pytest.raises(errors.UntrustedCode, match="brings code of its own"):
            Transformer(str(folder))
        assert not marker.exists()


def test_a_picture_model_pools_as_the_reference(vit_folder, reference):
    modules = _modules(reference)
    modes = list(Pooling.POOLING_MODES)
    ours = stlib.SentenceTransformer(modules=[Transformer(vit_folder), Pooling(32, modes)], device="cpu")
    theirs = reference.SentenceTransformer(
        modules=[modules.Transformer(vit_folder), modules.Pooling(32, modes)], device="cpu"
    )
    close(ours.encode(PICTURES), theirs.encode(PICTURES))


EYE = {**SMALL, "image_size": 32, "patch_size": 16}
TEXT_TOWER = {**SMALL, "vocab_size": 200, "max_position_embeddings": 64, "pad_token_id": 0}
SQUARE = {"size": {"height": 32, "width": 32}}


def _siglip(folder: Any, tokenizer: Any) -> None:
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel, SiglipProcessor

    text = {**TEXT_TOWER, "projection_size": 32, "bos_token_id": 2, "eos_token_id": 3}
    SiglipModel(SiglipConfig(text_config=text, vision_config=EYE)).eval().save_pretrained(folder)
    SiglipProcessor(SiglipImageProcessor(**SQUARE), tokenizer).save_pretrained(folder)


def _blip(folder: Any, tokenizer: Any) -> None:
    from transformers import BlipConfig, BlipImageProcessor, BlipModel, BlipProcessor

    text = {**TEXT_TOWER, "encoder_hidden_size": 32, "bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3}
    config = BlipConfig(text_config=text, vision_config=EYE, projection_dim=24, image_text_hidden_size=24)
    BlipModel(config).eval().save_pretrained(folder)
    BlipProcessor(BlipImageProcessor(**SQUARE), tokenizer).save_pretrained(folder)


def _resnet(folder: Any, tokenizer: Any) -> None:
    from transformers import ConvNextImageProcessor, ResNetConfig, ResNetModel

    config = ResNetConfig(embedding_size=8, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic")
    ResNetModel(config).eval().save_pretrained(folder)
    ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=1.0).save_pretrained(folder)


@pytest.mark.parametrize("make", [_siglip, _blip, _resnet])
def test_other_models_of_pictures_equal(make, reference, image_tokenizer, tmp_path):
    torch.manual_seed(9)
    make(tmp_path / "model", image_tokenizer)
    ours = stlib.SentenceTransformer(str(tmp_path / "model"), device="cpu")
    theirs = reference.SentenceTransformer(str(tmp_path / "model"), device="cpu")

    assert ours[0].modality_config == theirs[0].modality_config
    assert ours[0].module_output_name == theirs[0].module_output_name
    assert ours.get_embedding_dimension() == theirs.get_embedding_dimension()
    inputs: dict[Any, list[Any]] = {"text": TEXTS, "image": PICTURES}
    inputs["image", "text"] = [{"text": TEXTS[0], "image": PICTURES[0]}]
    for kind in ours.modalities:
        close(ours.encode(inputs[kind]), theirs.encode(inputs[kind]))
