"""Texts rebuilt from the embeddings of damaged copies (TSDAE)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stlib.base.losses.checks import check_model
from stlib.base.losses.gradcache import has_static_embedding_input
from stlib.base.transformer.config import resolve_folder
from stlib.base.transformer.files import load_tokenizer, load_transformer
from stlib.errors import InvalidInput, InvalidOption

logger = logging.getLogger(__name__)


class DenoisingAutoEncoderLoss(nn.Module):
    """Cross entropy of a decoder that writes a text from the embedding of a damaged copy of it.

    All the decoder sees is one vector, so that this has to hold the meaning of the text. The decoder serves
    for training only and is thrown away.

    Args:
        model: the model to train, a transformer with pooling; ``"cls"`` pooling works best.
        decoder_name_or_path: folder or id of the decoder, of the hidden size of the model. By default, and
            always with ``tie_encoder_decoder``, the transformer that the model was loaded from.
        tie_encoder_decoder: let decoder and model share the weights that both have; those of the decoder's
            attention to the embedding are new. It makes better embeddings, and takes less memory.

    Raises:
        InvalidOption: the model has no transformer or an unknown one, a decoder is missing, or the two do not
            fit together.
        ModelNotFound, MissingModelFile, ModelConfigError, UntrustedCode: the decoder cannot be loaded.

    References:
        - Wang et al., "TSDAE: Using Transformer-based Sequential Denoising Auto-Encoder for Unsupervised
          Sentence Embedding Learning", arXiv:2104.06979

    Inputs:
        ``(damaged text, text)`` pairs, without labels; ``DenoisingAutoEncoderDataset`` makes them by leaving
        words out.

    Relations:
        - ``ContrastiveTensionLoss`` learns from texts alone as well.

    Example::

        model = SentenceTransformer(modules=[Transformer(name), Pooling(768, "cls")])
        loss = losses.DenoisingAutoEncoderLoss(model)
        train_dataset = Dataset.from_dict({"damaged": damaged, "text": texts})
        SentenceTransformerTrainer(model=model, train_dataset=train_dataset, loss=loss).train()
    """

    def __init__(
        self, model: Any, decoder_name_or_path: str | None = None, tie_encoder_decoder: bool = True
    ) -> None:
        super().__init__()
        check_model(self, model)
        own_name = _name_of(model)
        name = _name_of_decoder(own_name, decoder_name_or_path, tie_encoder_decoder)
        folder = resolve_folder(name, {})
        self.model = model
        self.tokenizer_encoder = model.tokenizer
        self.tokenizer_decoder = load_tokenizer(folder, {})
        self.need_retokenization = not isinstance(self.tokenizer_encoder, type(self.tokenizer_decoder)) or (
            # Where weights are shared, tokens that the model has more are added to the decoder.
            not tie_encoder_decoder
            and self.tokenizer_encoder.get_vocab() != self.tokenizer_decoder.get_vocab()
        )
        self.decoder = _load_decoder(folder, model.transformers_model.config.hidden_size)
        self.decoder.config._name_or_path = name
        if self.tokenizer_decoder.pad_token is None:
            self.tokenizer_decoder.pad_token = self.tokenizer_decoder.eos_token
            self.decoder.config.pad_token_id = self.decoder.config.eos_token_id
        if tie_encoder_decoder:
            self._tie(own_name)

    @property
    def encoder(self) -> Any:
        """The model to train."""
        return self.model

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        columns = list(sentence_features)
        if len(columns) != 2:
            raise InvalidInput(
                f"DenoisingAutoEncoderLoss takes two columns, (damaged text, text), and got {len(columns)}"
            )
        damaged, whole = columns
        if self.need_retokenization:
            whole = self.retokenize(whole)
        ids = whole["input_ids"].clone()
        embedding = self.model(damaged)["sentence_embedding"]
        logits = self.decoder(
            input_ids=ids[:, :-1],
            # A sequence of one position, which is always there
            encoder_hidden_states=embedding.unsqueeze(1),
            encoder_attention_mask=torch.ones_like(ids[:, :1]),
            use_cache=False,
        )[0]
        return nn.functional.cross_entropy(
            logits.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=self.tokenizer_decoder.pad_token_id
        )

    def retokenize(self, sentence_features: dict[str, Tensor]) -> Any:
        """The texts of features as the decoder's tokenizer cuts them."""
        ids = sentence_features["input_ids"]
        texts = self.tokenizer_encoder.batch_decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=True
        )
        features = self.tokenizer_decoder(
            texts, padding=True, truncation="longest_first", return_tensors="pt", max_length=None
        )
        return features.to(ids.device)

    def _tie(self, own_name: str) -> None:
        if self.need_retokenization:
            raise InvalidOption(
                f"the tokenizer of the model is a {type(self.tokenizer_encoder).__name__}, and that of "
                f"{own_name!r} a {type(self.tokenizer_decoder).__name__}: their weights cannot be shared; "
                "pass tie_encoder_decoder=False and a decoder"
            )
        if len(self.tokenizer_encoder) != len(self.tokenizer_decoder):
            logger.warning("tokens were added to the tokenizer of the model; the decoder gets them too")
            self.tokenizer_decoder = self.tokenizer_encoder
            self.decoder.resize_token_embeddings(len(self.tokenizer_decoder))
        if not _share_parameters(self.model.transformers_model, self.decoder):
            logger.warning(
                "model and decoder share no weights, as %s and %s name them differently",
                type(self.model.transformers_model).__name__,
                type(self.decoder).__name__,
            )

    def get_config_dict(self) -> dict[str, Any]:
        return {
            "decoder_name_or_path": self.decoder.config._name_or_path,
            "need_retokenization": self.need_retokenization,
        }

    @property
    def citation(self) -> str:
        return """
@inproceedings{wang-2021-TSDAE,
    title = "TSDAE: Using Transformer-based Sequential Denoising Auto-Encoder for Unsupervised Sentence
        Embedding Learning",
    author = "Wang, Kexin and Reimers, Nils and Gurevych, Iryna",
    booktitle = "Findings of the Association for Computational Linguistics: EMNLP 2021",
    month = nov,
    year = "2021",
    address = "Punta Cana, Dominican Republic",
    publisher = "Association for Computational Linguistics",
    pages = "671--688",
    url = "https://arxiv.org/abs/2104.06979",
}
"""


def _name_of(model: Any) -> str:
    """Folder or id that the transformer of a model was loaded from."""
    if has_static_embedding_input(model) or model.transformers_model is None:
        raise InvalidOption(
            "DenoisingAutoEncoderLoss trains transformers, and the model has none: a StaticEmbedding learns "
            "from pairs with MultipleNegativesRankingLoss"
        )
    return model.transformers_model.config._name_or_path


def _name_of_decoder(own_name: str, given: str | None, tied: bool) -> str:
    if not tied and given is None:
        raise InvalidOption(
            "tie_encoder_decoder=False needs a decoder: pass decoder_name_or_path, for example the name of "
            "the model"
        )
    if tied and given is not None:
        logger.warning("decoder_name_or_path %r is not used, as tie_encoder_decoder is on", given)
    name = own_name if tied or given is None else given
    if not name:
        raise InvalidOption(
            "the model was built in memory, so that there is nothing to load its decoder from; save its "
            "transformer and load that, or pass decoder_name_or_path with tie_encoder_decoder=False"
        )
    return name


def _load_decoder(folder: Path, hidden_size: int) -> Any:
    as_decoder = {"is_decoder": True, "add_cross_attention": True}
    try:
        decoder = load_transformer(folder, {}, as_decoder, "text-generation")
    except ValueError as error:
        raise InvalidOption(
            f"{folder} is no decoder that transformers knows ({error}); pass one with a head of a language "
            "model, such as bert-base-uncased or gpt2"
        ) from error
    if decoder.config.hidden_size != hidden_size:
        raise InvalidOption(
            f"the decoder has hidden size {decoder.config.hidden_size} and the model {hidden_size}; "
            "they have to be equal"
        )
    return decoder


def _share_parameters(encoder: nn.Module, decoder: Any) -> bool:
    """Put the parameters of an encoder in the place of those of the same names in a decoder.

    This way round the encoder keeps its values, even if it has been trained since it was loaded.
    """
    of_encoder = dict(encoder.named_parameters())
    base = getattr(decoder, decoder.base_model_prefix)
    shared = {
        parameter: of_encoder[name]
        for name, parameter in base.named_parameters()
        if name in of_encoder and of_encoder[name].shape == parameter.shape
    }
    # The head has some of them a second time.
    for module in decoder.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter in shared:
                setattr(module, name, shared[parameter])
    return bool(shared)
