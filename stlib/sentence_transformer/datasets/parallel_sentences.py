"""Translations next to the teacher's vector of the original: data to extend a model to other languages."""

from __future__ import annotations

import logging
import random
from typing import Any

from torch.utils.data import Dataset

from stlib.errors import InvalidInput
from stlib.sentence_transformer.readers.input_example import InputExample
from stlib.sentence_transformer.readers.text_files import open_text
from stlib.util.lists import refuse_text

logger = logging.getLogger(__name__)


class ParallelSentencesDataset(Dataset):
    """Examples of one sentence, in any language, with the teacher's vector of the original as label.

    From Reimers and Gurevych, "Making Monolingual Sentence Embeddings Multilingual using Knowledge
    Distillation" (2020). Train with ``MSELoss``. The original is among the sentences, so that the student
    learns the teacher's own language too.

    Examples come in random order whatever number is asked for; Python's global random state decides.

    Args:
        student_model: the model to be trained; not needed here.
        teacher_model: anything with an ``encode`` like a model's.
        batch_size: sentences per batch of the teacher.
        use_embedding_cache: keep the teacher's vectors in memory, one per original.
    """

    def __init__(
        self, student_model: Any, teacher_model: Any, batch_size: int = 8, use_embedding_cache: bool = True
    ) -> None:
        self.student_model = student_model
        self.teacher_model = teacher_model
        self.batch_size = batch_size
        self.use_embedding_cache = use_embedding_cache
        # Of each added dataset its originals with their translations, and the next one to take
        self.datasets: list[list[tuple[str, list[str]]]] = []
        self.datasets_iterator: list[int] = []
        # Numbers of datasets, each as often as its weight
        self.dataset_indices: list[int] = []
        self.cache: list[InputExample] = []
        self.embedding_cache: dict[str, Any] = {}
        self.num_sentences = 0

    def load_data(
        self,
        filepath: str,
        weight: int = 100,
        max_sentences: int | None = None,
        max_sentence_length: int | None = 128,
    ) -> None:
        """Add a file whose lines are an original and its translations with tabs between them.

        Args:
            filepath: the file, packed with gzip or not.
            weight: originals taken from it in each turn, relative to other files.
            max_sentences: originals read from it; None for all.
            max_sentence_length: lines with a longer sentence (in characters) are left out; None for no limit.
        """
        logger.info("reading %s", filepath)
        with open_text(filepath) as file:
            lines: list[list[str]] = []
            for line in file:
                sentences = line.strip().split("\t")
                if not _too_long(sentences, max_sentence_length):
                    lines.append(sentences)
                    if max_sentences and len(lines) >= max_sentences:
                        break
        self.add_dataset(lines, weight, max_sentences, max_sentence_length)

    def add_dataset(
        self,
        parallel_sentences: list[list[str]],
        weight: int = 100,
        max_sentences: int | None = None,
        max_sentence_length: int | None = 128,
    ) -> None:
        """Add lists of an original and its translations; arguments as in :meth:`load_data`.

        Translations of the same original in several lists are put together.
        """
        refuse_text(parallel_sentences=parallel_sentences)
        translations: dict[str, dict[str, None]] = {}
        for sentences in parallel_sentences:
            refuse_text(sentences=sentences)
            if _too_long(sentences, max_sentence_length):
                continue
            translations.setdefault(sentences[0], {}).update(dict.fromkeys(sentences))
            if max_sentences and len(translations) >= max_sentences:
                break
        if not translations:
            return
        self.num_sentences += sum(map(len, translations.values()))
        self.dataset_indices += [len(self.datasets)] * weight
        self.datasets.append([(original, list(others)) for original, others in translations.items()])
        self.datasets_iterator.append(0)

    def generate_data(self) -> None:
        """Put one turn of examples into the cache: as many originals of each dataset as its weight."""
        entries = [self.next_entry(number) for number in self.dataset_indices]
        vectors = self.get_embeddings([original for original, _ in entries])
        for vector, (_, sentences) in zip(vectors, entries, strict=True):
            self.cache += [InputExample(texts=[sentence], label=vector) for sentence in sentences]
        random.shuffle(self.cache)

    def next_entry(self, data_idx: int) -> tuple[str, list[str]]:
        """The next original of a dataset with its sentences; after the last one the dataset is shuffled."""
        dataset = self.datasets[data_idx]
        entry = dataset[self.datasets_iterator[data_idx]]
        self.datasets_iterator[data_idx] += 1
        if self.datasets_iterator[data_idx] == len(dataset):
            self.datasets_iterator[data_idx] = 0
            random.shuffle(dataset)
        return entry

    def get_embeddings(self, sentences: list[str]) -> Any:
        """The teacher's vectors, (sentences, dimensions), from the cache where it has them."""
        if not self.use_embedding_cache:
            return self._encode(sentences)
        new = [text for text in dict.fromkeys(sentences) if text not in self.embedding_cache]
        if new:
            self.embedding_cache.update(zip(new, self._encode(new), strict=True))
        return [self.embedding_cache[text] for text in sentences]

    def __len__(self) -> int:
        return self.num_sentences

    def __getitem__(self, idx: int) -> InputExample:
        if not self.cache:
            if not self.datasets:
                raise InvalidInput("there are no sentences; add some with load_data or add_dataset")
            self.generate_data()
        return self.cache.pop()

    def _encode(self, sentences: list[str]) -> Any:
        return self.teacher_model.encode(
            sentences, batch_size=self.batch_size, show_progress_bar=False, convert_to_numpy=True
        )


def _too_long(sentences: list[str], limit: int | None) -> bool:
    return bool(limit) and max(map(len, sentences)) > (limit or 0)
