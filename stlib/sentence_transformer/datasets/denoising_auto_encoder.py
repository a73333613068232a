"""Sentences with words missing, next to the whole ones: data of the denoising auto-encoder TSDAE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from stlib.errors import MissingDependency
from stlib.sentence_transformer.readers.input_example import InputExample
from stlib.util.lists import refuse_text


def delete_words(text: str, del_ratio: float = 0.6) -> str:
    """``text`` without a random share of its words; at least one stays.

    0.6 is the share that worked best in Wang, Reimers and Gurevych, "TSDAE: Using Transformer-based
    Sequential Denoising Auto-Encoder for Unsupervised Sentence Embedding Learning" (2021). Randomness is
    numpy's global one. Words are those of NLTK's ``word_tokenize``.

    Raises:
        MissingDependency: NLTK, or its data for sentences, is not installed.
    """
    word_tokenize, detokenizer = _nltk()
    try:
        words = word_tokenize(text)
    except LookupError as error:
        raise MissingDependency(
            "deleting words needs the sentence data of NLTK; run: python -m nltk.downloader punkt_tab, or "
            "give your own noise_fn"
        ) from error
    if not words:
        return text
    kept = np.random.rand(len(words)) > del_ratio
    if not kept.any():
        kept[np.random.choice(len(words))] = True
    return detokenizer.detokenize([word for word, keep in zip(words, kept, strict=True) if keep])


class DenoisingAutoEncoderDataset(Dataset):
    """Examples of two texts: a sentence with noise, and the sentence. For ``DenoisingAutoEncoderLoss``.

    Noise is made anew each time a sentence is asked for.

    Args:
        sentences: the sentences.
        noise_fn: a text to a text; by default a random 60 % of its words are deleted (:func:`delete_words`).

    Raises:
        MissingDependency: the default noise is wanted and NLTK is not installed.
    """

    delete = staticmethod(delete_words)

    def __init__(self, sentences: list[str], noise_fn: Callable[[str], str] = delete_words) -> None:
        refuse_text(sentences=sentences)
        if noise_fn is delete_words:
            _nltk()
        self.sentences = sentences
        self.noise_fn = noise_fn

    def __getitem__(self, item: int) -> InputExample:
        sentence = self.sentences[item]
        return InputExample(texts=[self.noise_fn(sentence), sentence])

    def __len__(self) -> int:
        return len(self.sentences)


def _nltk() -> tuple[Callable[[str], list[str]], Any]:
    try:
        from nltk import word_tokenize
        from nltk.tokenize.treebank import TreebankWordDetokenizer
    except ImportError as error:
        raise MissingDependency(
            "deleting words needs nltk; run: pip install nltk, or give your own noise_fn"
        ) from error
    return word_tokenize, TreebankWordDetokenizer()
