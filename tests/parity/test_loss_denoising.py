"""Texts rebuilt from embeddings (TSDAE): equal to the reference, weights shared or not."""

from __future__ import annotations

import pytest
import torch

from stlib.errors import InvalidInput, InvalidOption
from stlib.losses import DenoisingAutoEncoderLoss

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:.*is_decoder:UserWarning"),
]

DAMAGED = ["how sort list", "the fox", "meaning", "a text is"]
WHOLE = ["how do i sort a list", "the quick brown fox", "search by meaning", "a short text is only this"]


@pytest.fixture
def models(reference, tiny_bert):
    """New ones, as sharing weights changes a model of the reference."""
    import stlib

    return [library.SentenceTransformer(tiny_bert, device="cpu").eval() for library in (stlib, reference)]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("tied", [True, False])
def test_value_and_gradients(same_loss, models, tiny_bert, rows, tied, training):
    for model in models:
        model.train(training)
    decoder = [] if tied else [tiny_bert]
    type(same_loss)(*models)(
        lambda losses, util, model: losses.DenoisingAutoEncoderLoss(
            model, *decoder, tie_encoder_decoder=tied
        ),
        [DAMAGED[:rows], WHOLE[:rows]],
        seed=3,
    )


@pytest.fixture
def small_gpt2(tmp_path):
    from tokenizers import ByteLevelBPETokenizer
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast

    end = "<|endoftext|>"
    vocab = {piece: i for i, piece in enumerate([*sorted(ByteLevel.alphabet()), end])}
    file = tmp_path / "tokenizer.json"
    ByteLevelBPETokenizer(vocab, []).save(str(file))
    GPT2TokenizerFast(tokenizer_file=str(file), eos_token=end, unk_token=end).save_pretrained(tmp_path)
    config = GPT2Config(
        vocab_size=len(vocab),
        n_embd=32,
        n_layer=1,
        n_head=2,
        n_positions=64,
        eos_token_id=256,
        bos_token_id=256,
    )
    torch.manual_seed(3)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    return str(tmp_path)


def test_decoder_with_another_tokenizer(same_loss, models, small_gpt2):
    def make(losses, util, model):
        loss = losses.DenoisingAutoEncoderLoss(model, small_gpt2, tie_encoder_decoder=False)
        assert loss.need_retokenization
        assert loss.tokenizer_decoder.pad_token == "<|endoftext|>"
        return loss

    type(same_loss)(*models)(make, [DAMAGED, WHOLE])


def test_decoder_of_other_tokens_with_a_tokenizer_of_the_same_class(models, tmp_path):
    """The reference would give it the ids of the model's tokenizer."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertLMHeadModel, BertTokenizerFast

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
    pieces += [f"##{letter}" for letter in pieces[5:]]
    file = tmp_path / "tokenizer.json"
    BertWordPieceTokenizer({p: i for i, p in enumerate(pieces)}, lowercase=True).save(str(file))
    BertTokenizerFast(tokenizer_file=str(file), model_max_length=64).save_pretrained(tmp_path)
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertLMHeadModel(BertConfig(vocab_size=len(pieces), is_decoder=True, **small)).save_pretrained(tmp_path)
    loss = DenoisingAutoEncoderLoss(models[0], str(tmp_path), tie_encoder_decoder=False)
    features = loss.retokenize(models[0].preprocess(["a fox"]))
    assert loss.tokenizer_decoder.convert_ids_to_tokens(features["input_ids"][0]) == [
        "[CLS]", "a", "f", "##o", "##x", "[SEP]"
    ]  # fmt: skip
    assert loss([models[0].preprocess(DAMAGED), models[0].preprocess(WHOLE)]) > 0


def test_the_model_keeps_its_values(models):
    """The reference would put those on disk in their place."""
    ours = models[0]
    with torch.no_grad():
        ours.transformers_model.embeddings.word_embeddings.weight.add_(1.0)
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    loss = DenoisingAutoEncoderLoss(ours)
    after = ours.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    embeddings = ours.transformers_model.embeddings.word_embeddings.weight
    assert loss.decoder.get_input_embeddings().weight is embeddings
    assert loss.decoder.get_output_embeddings().weight is embeddings
    assert loss.encoder is ours


def test_tokens_of_the_model_reach_the_decoder(models, caplog):
    ours = models[0]
    ours.tokenizer.add_tokens(["<new>"])
    ours.transformers_model.resize_token_embeddings(len(ours.tokenizer))
    loss = DenoisingAutoEncoderLoss(ours)
    assert "tokens were added" in caplog.text
    assert loss.decoder.get_output_embeddings().weight.shape == (len(ours.tokenizer), 32)
    loss([ours.preprocess(["<new> text"]), ours.preprocess(["a <new> text"])]).backward()
    gradient = ours.transformers_model.embeddings.word_embeddings.weight.grad
    assert gradient[-1].abs().sum() > 0


def test_texts_become_likelier(models):
    ours = models[0]
    torch.manual_seed(1)
    loss = DenoisingAutoEncoderLoss(ours)
    optimizer = torch.optim.Adam(loss.parameters(), lr=3e-3)
    values = []
    for _ in range(15):
        value = loss([ours.preprocess(DAMAGED), ours.preprocess(WHOLE)])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(float(value.detach()))
    assert values[-1] < 0.7 * values[0]


def test_refusals(models, tiny_bert, tmp_path):
    from tokenizers import Tokenizer
    from transformers import BertConfig, BertModel

    from stlib import SentenceTransformer
    from stlib.models import StaticEmbedding

    ours = models[0]
    with pytest.raises(InvalidOption, match="needs a decoder"):
        DenoisingAutoEncoderLoss(ours, tie_encoder_decoder=False)
    static = StaticEmbedding(Tokenizer.from_file(f"{tiny_bert}/tokenizer.json"), embedding_dim=32)
    with pytest.raises(InvalidOption, match="the model has none"):
        DenoisingAutoEncoderLoss(SentenceTransformer(modules=[static], device="cpu"))
    BertModel(
        BertConfig(hidden_size=8, num_attention_heads=1, num_hidden_layers=1, intermediate_size=8)
    ).save_pretrained(tmp_path)
    ours.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InvalidOption, match="hidden size 8 and the model 32"):
        DenoisingAutoEncoderLoss(ours, str(tmp_path), tie_encoder_decoder=False)
    ours.transformers_model.config._name_or_path = ""
    with pytest.raises(InvalidOption, match="built in memory"):
        DenoisingAutoEncoderLoss(ours)


def test_two_columns_are_wanted(models):
    with pytest.raises(InvalidInput, match="got 1"):
        DenoisingAutoEncoderLoss(models[0])([models[0].preprocess(WHOLE)])


def test_an_unused_name_is_told(models, tiny_bert, caplog):
    DenoisingAutoEncoderLoss(models[0], tiny_bert)
    assert "is not used, as tie_encoder_decoder is on" in caplog.text
