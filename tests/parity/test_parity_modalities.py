"""Pictures, sounds, films, conversations and other tasks than embedding: equal to the reference."""

from __future__ import annotations

import base64
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch

import stlib
from stlib import errors
from stlib.base import modality
from stlib.base.inputs import as_list, text_length
from stlib.base.modality.formatter import InputFormatter
from stlib.sentence_transformer import modules as our_modules

Image = pytest.importorskip("PIL.Image", reason="pictures need pillow: pip install '.[image]'")

TEXTS = ["a quick brown fox", "the lazy dog of the list", "fox", "a long text of words " * 6]


def _noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)


PICTURES = [Image.fromarray(_noise(i, 40 + 7 * i, 50, 3)) for i in range(3)]
SOUNDS = [(np.random.default_rng(n).normal(size=n) / 10).astype(np.float32) for n in (3000, 16000, 9000)]


def close(ours: Any, theirs: Any, atol: float = 1e-5) -> None:
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=0, atol=atol)


class Pair:
    """The same model in both libraries."""

    def __init__(self, folder: str, reference: Any) -> None:
        self.ours = stlib.SentenceTransformer(folder, device="cpu")
        self.theirs = reference.SentenceTransformer(folder, device="cpu")

    def check(self, inputs: Any, **options: Any) -> np.ndarray:
        vectors = self.ours.encode(inputs, **options)
        close(vectors, self.theirs.encode(inputs, **options))
        assert np.isfinite(vectors).all()
        assert np.abs(vectors).max() > 1e-3
        return vectors


@pytest.fixture(scope="session")
def clip(clip_folder, reference) -> Pair:
    return Pair(clip_folder, reference)


@pytest.fixture(scope="session")
def llava(llava_folder, reference) -> Pair:
    return Pair(llava_folder, reference)


@pytest.fixture(scope="session")
def whisper(whisper_folder, reference) -> Pair:
    return Pair(whisper_folder, reference)


# -- pictures


def test_clip_encodes_texts_and_pictures(clip, tmp_path):
    assert [type(module).__name__ for module in clip.ours] == ["Transformer"]
    assert clip.ours[0].modality_config == clip.theirs[0].modality_config
    assert clip.ours[0].module_output_name == "sentence_embedding"
    assert clip.ours.modalities == ["text", "image"]
    assert clip.ours.get_embedding_dimension() == clip.theirs.get_embedding_dimension() == 24
    assert clip.ours.supports("image") and not clip.ours.supports(("image", "text"))
    PICTURES[0].save(tmp_path / "a.png")

    clip.check(TEXTS)
    clip.check(TEXTS, prompt="a query: ")
    expected = clip.check(PICTURES)
    assert len(np.unique(expected.round(3), axis=0)) == 3
    close(clip.check([np.asarray(picture) for picture in PICTURES]), expected)
    close(clip.check([{"image": picture} for picture in PICTURES], batch_size=2), expected)
    close(clip.check(PICTURES[0]), expected[0])
    close(clip.check(str(tmp_path / "a.png")), expected[0])
    close(clip.check({"image": str(tmp_path / "a.png")}), expected[0])
    encoded = base64.b64encode((tmp_path / "a.png").read_bytes()).decode()
    close(clip.check(f"data:image/png;base64,{encoded}"), expected[0])
    clip.check(PICTURES, processing_kwargs={"image": {"do_normalize": False}})
    clip.check(torch.from_numpy(_noise(9, 3, 40, 40)))


def test_a_picture_model_without_text(vit_folder, reference):
    pair = Pair(vit_folder, reference)
    assert pair.ours.modalities == ["image"]
    assert pair.ours.tokenizer is None
    assert pair.ours.max_seq_length == pair.theirs.max_seq_length
    pair.check(PICTURES)
    with pytest.raises(errors.InvalidInput, match="does not take text; it takes: image"):
        pair.ours.encode("fox")


def test_inputs_that_clip_does_not_take_are_refused_by_name(clip):
    def refuse(inputs, match):
        with pytest.raises(errors.InvalidInput, match=match):
            clip.ours.encode(inputs)
        with pytest.raises((ValueError, OSError)):
            clip.theirs.encode(inputs)

    refuse(["fox", PICTURES[0]], "one batch holds image, text")
    refuse([{"text": "fox", "image": PICTURES[0]}], "image and text, but not joined")
    refuse([SOUNDS[0]], "does not take audio; it takes: text, image")
    refuse([[{"role": "user", "content": "hi"}]], "takes no chat messages")
    refuse([{"image": "nowhere.png"}], "no picture could be read from 'nowhere.png'")
    refuse([3], "a int is no input")
    refuse([{}], "an empty dict")
    refuse([{"text": "a", "sampling_rate": 3}], "keys \\['sampling_rate', 'text'\\]")
    refuse([np.zeros((1,) * 6)], "6 axes")


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def web(tmp_path):
    """The address of a server of the files in ``tmp_path``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(tmp_path)))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_picture_is_downloaded(clip, web, tmp_path):
    PICTURES[0].save(tmp_path / "a.png")
    close(clip.check({"image": f"{web}/a.png"}), clip.ours.encode(PICTURES[0]))
    with pytest.raises(errors.InvalidInput, match=r"no picture could be read from 'http.*404"):
        clip.ours.encode({"image": f"{web}/b.png"})
    with pytest.raises(errors.InvalidInput, match=r"no picture could be read from 'http.*refused"):
        clip.ours.encode({"image": "http://127.0.0.1:1/a.png"})


def test_an_address_is_downloaded_only_when_it_is_named_a_picture(clip):
    address = "https://localhost:1/a.png"
    with pytest.raises(errors.InvalidInput, match=r"is an address.*\{'image': …\}.*\{'text': …\}"):
        clip.ours.encode(address)
    close(clip.ours.encode({"text": address}), clip.theirs.encode({"text": address}))
    # other models read it as the text it is
    assert modality.infer_modality(address, ["text"]) == "text"


# -- sounds


def test_whisper_encodes_sounds(whisper, tmp_path):
    soundfile = pytest.importorskip("soundfile", reason="pip install '.[audio]'")
    assert whisper.ours.modalities == whisper.theirs.modalities == ["audio", ("audio", "text")]
    expected = whisper.check([{"array": sound, "sampling_rate": 16000} for sound in SOUNDS])
    close(whisper.check(SOUNDS), expected)
    close(whisper.check(SOUNDS[0]), expected[0])

    # The reference reads no files here; a file of samples is the samples.
    stereo = np.stack([SOUNDS[0], SOUNDS[0]], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 16000, subtype="FLOAT")
    close(whisper.ours.encode(str(tmp_path / "a.wav")), expected[0])
    soundfile.write(tmp_path / "slow.wav", SOUNDS[0], 8000)
    with pytest.raises(errors.InvalidInput, match="8000 samples per second and the model takes 16000"):
        whisper.ours.encode(str(tmp_path / "slow.wav"))
    (tmp_path / "no.wav").write_bytes(b"no sound")
    with pytest.raises(errors.InvalidInput, match="no sound that soundfile reads"):
        whisper.ours.encode(str(tmp_path / "no.wav"))
    mixed = [{"array": SOUNDS[0], "sampling_rate": rate} for rate in (8000, 16000)]
    with pytest.raises(errors.InvalidInput, match="sounds of 8000 and 16000 samples"):
        whisper.ours.encode(mixed)


def test_the_encoder_of_a_whole_speech_model_keeps_its_weights(whisper, whole_whisper, tmp_path):
    from transformers import WhisperFeatureExtractor

    whole_whisper.save_pretrained(tmp_path)
    WhisperFeatureExtractor(feature_size=16).save_pretrained(tmp_path)
    # Only the encoder's files load in the reference, which starts from random weights for whole models.
    whole = stlib.SentenceTransformer(str(tmp_path), device="cpu")
    assert type(whole[0].model).__name__ == "WhisperEncoder"
    close(whole.encode(SOUNDS), whisper.theirs.encode(SOUNDS))


def test_sounds_in_half_precision(whisper, whisper_folder):
    # The reference gives the model single-precision sounds, which it refuses.
    half = stlib.SentenceTransformer(whisper_folder, device="cpu", model_kwargs={"dtype": "bfloat16"})
    vectors = half.encode(SOUNDS[:2], convert_to_tensor=True).float()
    expected = torch.as_tensor(whisper.theirs.encode(SOUNDS[:2]))
    assert torch.nn.functional.cosine_similarity(vectors, expected).min() > 0.999


def test_wav2vec2_encodes_sounds(wav2vec2_folder, reference):
    pair = Pair(wav2vec2_folder, reference)
    assert pair.ours.modalities == pair.theirs.modalities
    pair.check(SOUNDS, batch_size=1)
    pair.check([{"array": sound, "sampling_rate": 16000} for sound in SOUNDS])


# -- conversations, and inputs of several kinds


def _says(*content: Any, role: str = "user") -> list[dict[str, Any]]:
    parts = [
        {"type": "text", "text": c} if isinstance(c, str) else {"type": "image", "image": c} for c in content
    ]
    return [{"role": role, "content": parts}]


def test_a_model_of_conversations_takes_inputs_of_all_kinds(llava):
    assert llava.ours[0].modality_config == llava.theirs[0].modality_config
    for kind in ("text", "image", "audio", "message", ("image", "text"), ("audio", "text")):
        assert llava.ours.supports(kind) == llava.theirs.supports(kind)
    with pytest.raises(errors.InvalidInput, match="does not take audio; it takes: text, image, message"):
        llava.ours.encode(SOUNDS)
    llava.check(TEXTS)
    llava.check(PICTURES)
    llava.check(["a fox"], prompt="find: ")
    first = llava.check([{"text": "fox", "image": PICTURES[0]}, {"image": PICTURES[1], "text": "dog"}])
    llava.check({"image": PICTURES[0], "text": "fox"})
    llava.check(["fox", PICTURES[0]])
    llava.check([{"text": "two", "image": [PICTURES[0], PICTURES[1]]}])
    close(llava.check(_says("fox", PICTURES[0])), first[0])
    llava.check([_says(PICTURES[0], "a fox"), _says("x")])
    llava.check([(PICTURES[0], "fox"), ("the", "dog")])
    long = {"text": {"max_length": 12}, "chat_template": {"add_generation_prompt": True}}
    llava.check(TEXTS, processing_kwargs=long)
    llava.check(TEXTS, processing_kwargs={**long, "chat_template": {"restore_suffix": False}})
    # Content as a bare text is brought into the form of the template, where the reference breaks.
    close(llava.ours.encode([{"role": "user", "content": "fox"}]), llava.theirs.encode(_says("fox")))


def test_conversations_by_the_template_of_a_tokenizer(qwen_folder, reference):
    pair = Pair(qwen_folder, reference)
    assert pair.ours[0].modality_config == pair.theirs[0].modality_config
    assert pair.ours[1].pooling_mode == "lasttoken"
    pair.check(TEXTS)
    pair.check(TEXTS, task="query")
    pair.check(TEXTS, prompt="search the meaning")
    pair.check([("a fox", "dog")])
    flat = [{"role": "user", "content": "fox"}]
    pair.check([flat, flat[:]])
    cut = {"chat_template": {"add_generation_prompt": True}, "text": {"max_length": 10}}
    whole = pair.check(TEXTS, processing_kwargs=cut)
    bare = {"chat_template": {"add_generation_prompt": True, "restore_suffix": False, "max_length": 10}}
    assert np.abs(whole - pair.check(TEXTS, processing_kwargs=bare)).max() > 0.01
    close(pair.ours.encode(_says("fox")), pair.ours.encode(flat))

    pair.ours[
        0
    ].processor.chat_template = "{% for m in messages %}{% if m.role == 'user' %}x{% endif %}{% endfor %}"
    with pytest.raises(errors.InvalidInput, match="does not show the content of 'query' and 'document'"):
        pair.ours.encode([("a fox", "dog")])


def test_a_router_sends_texts_and_pictures_to_models_of_their_own(
    llava_folder, vit_folder, tiny_bert, llava, reference
):
    from sentence_transformers.sentence_transformer import modules as their_modules

    def build(library: Any, modules: Any) -> Any:
        text = modules.Transformer(tiny_bert)
        torch.manual_seed(0)
        dense = modules.Dense(text.get_embedding_dimension(), 32, module_input_name="token_embeddings")
        router = modules.Router(
            {
                "text": [text, dense],
                "picture": [modules.Transformer(vit_folder)],
                "both": [modules.Transformer(llava_folder)],
            },
            route_mappings={
                (None, "text"): "text",
                (None, "image"): "picture",
                (None, ("text", "image")): "both",
            },
        )
        return library.SentenceTransformer(modules=[router, modules.Pooling(32)], device="cpu")

    ours, theirs = build(stlib, our_modules), build(reference, their_modules)
    assert ours.modalities == theirs.modalities == ["image", "message", "text"]
    close(ours.encode(TEXTS), theirs.encode(TEXTS))
    close(ours.encode(PICTURES), theirs.encode(PICTURES))
    # Here the reference looks for an entry that a model of conversations does not have.
    both = {"text": "A fox of a", "image": PICTURES[0]}
    close(ours.encode(both), llava.theirs.encode(both))


def test_formatter_equals(llava_folder, reference):
    from sentence_transformers.base.modality import InputFormatter as Theirs

    film = _noise(1, 4, 8, 8, 3)
    data = {"fps": 2, "total_num_frames": 4}
    batches: list[list[Any]] = [
        ["a", "b"],
        [("a", "b"), "c"],
        [{"text": "a"}, {"text": "b"}],
        [{"text": "a", "image": PICTURES[0]}, {"text": "b", "image": PICTURES[1]}],
        [{"text": "a", "image": PICTURES[0]}, {"image": PICTURES[1], "text": "b"}],
        [{"array": SOUNDS[0], "sampling_rate": 16000}, SOUNDS[1]],
        [film, film],
        [{"array": film, "video_metadata": data}, film],
        [{"array": [PICTURES[0]], "video_metadata": data}],
        [{"video": [PICTURES[0], PICTURES[1]], "text": "a"}],
        ["a", PICTURES[0]],
        [(PICTURES[0], "a"), ("b", "c"), {"text": "d", "image": PICTURES[1]}],
        [{"role": "user", "content": "a"}],
    ]
    for form in ("structured", "flat"):
        ours, theirs = InputFormatter("llava", form), Theirs("llava", form)
        for batch in batches:
            expected = theirs.parse_inputs(batch)
            found = ours.parse_inputs(batch)
            assert repr(found) == repr(expected)
            assert repr(ours.batch_to_message(*found[:2])) == repr(theirs.batch_to_message(*expected[:2]))
        for messages in (
            _says("a"),
            _says("a", PICTURES[0]),
            [{"role": "user", "content": "a", "name": "b"}],
        ):
            assert ours.normalize_messages(messages) == theirs.normalize_messages(messages)
            assert ours.prepend_prompt_to_messages([messages], "p") == theirs.prepend_prompt_to_messages(
                [messages], "p"
            )
            assert ours.is_text_only_messages([messages]) == theirs.is_text_only_messages([messages])


def test_kinds_of_inputs_equal(reference, tmp_path):
    from sentence_transformers.base import modality as theirs

    (tmp_path / "a.png").touch()
    (tmp_path / "b.mp3").touch()
    samples: list[Any] = [
        "a text",
        ("a", "b"),
        ["a", "b"],
        str(tmp_path / "a.png"),
        str(tmp_path / "b.mp3"),
        "missing.png",
        "https://a.b/c.JPG?x=1",
        "https://a.b/c.mp4",
        "https://youtu.be/abc",
        "https://[[broken/a.png",
        "see https://a.b/c.jpg",
        "data:image/png;base64,AA",
        PICTURES[0],
        SOUNDS[0],
        np.zeros((2, 5)),
        torch.zeros(3, 4, 4),
        np.zeros((2, 3, 4, 4)),
        {"array": SOUNDS[0], "sampling_rate": 1},
        {"array": SOUNDS[0], "video_metadata": None},
        {"text": "a", "audio": SOUNDS[0]},
        {"image": PICTURES[0]},
        {"role": "user", "content": "a"},
        [{"role": "user", "content": "a"}],
    ]
    for supported in (None, ["text"], ["text", "image", "message"], ["text", "audio", "video"]):
        for sample in samples:
            ours = modality.infer_modality(sample, supported)
            assert ours == theirs.infer_modality(sample, supported), sample
        assert modality.infer_batch_modality(samples, supported) == "message"
    assert modality.infer_batch_modality([]) == theirs.infer_batch_modality([])
    for wrong in (3, None, {}, {"array": 1}, {"texts": "a"}, [PICTURES[0], "a"], np.zeros(())):
        with pytest.raises(errors.InvalidInput):
            modality.infer_modality(wrong)
        with pytest.raises(ValueError, match=r"."):
            theirs.infer_modality(wrong)


def test_films_go_to_the_processor_as_frames():
    formatter = InputFormatter("qwen2_vl", "structured", supported_modalities=["text", "video", "message"])
    frames = [Image.fromarray(_noise(i, 8, 8, 3)) for i in range(3)]
    kind, values, found = formatter.parse_inputs([{"video": frames}, {"video": np.stack(frames)}])
    assert kind == "video"
    assert [len(film[0]) if isinstance(film, list) else len(film) for film in values["video"]] == [3, 3]
    assert dict(found) == {}
    _, values = formatter.batch_to_message(kind, values)
    assert [part["type"] for part in values["message"][0][0]["content"]] == ["video"]
    with pytest.raises(errors.InvalidInput, match="pass it for all films or for none"):
        formatter.parse_inputs([{"array": frames, "video_metadata": {"fps": 2}}, {"video": "film.mp4"}])


def test_pictures_and_sounds_name_the_package_they_need(monkeypatch, clip, whisper, tmp_path):
    import sys

    for name in ("a.png", "b.wav"):
        (tmp_path / name).touch()
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(errors.MissingDependency, match=r"pip install pillow"):
        clip.ours.encode(str(tmp_path / "a.png"))
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(errors.MissingDependency, match=r"pip install soundfile"):
        whisper.ours.encode(str(tmp_path / "b.wav"))


def test_one_input_or_many_and_which_are_measured_in_characters(tmp_path, clip):
    (tmp_path / "a.png").touch()
    for one in ("a", PICTURES[0], SOUNDS[0], torch.zeros(3, 4, 4), {"text": "a"}, _says("a")):
        assert as_list(one)[1] and clip.theirs.is_singular_input(one)
    for many in (["a"], ("a", "b"), np.array(["a", "b"]), [PICTURES[0]], [SOUNDS[0]], [_says("a")]):
        assert not as_list(many)[1] and not clip.theirs.is_singular_input(many)
    lengths = {"abc": 3, ("ab", "c"): 3, "https://a.b/c.png": 17, "missing.png": 11}
    assert {key: text_length(key) for key in lengths} == lengths
    assert text_length({"query": "ab"}) == text_length(["a", "b"]) == 2
    others: list[Any] = [str(tmp_path / "a.png"), {"text": "a", "image": "b"}, PICTURES[0], SOUNDS[0]]
    others += [{"array": "abc", "sampling_rate": 1}, _says("a"), _says("a")[0], (PICTURES[0], "a")]
    assert [text_length(item) for item in others] == [None] * len(others)
