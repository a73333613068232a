"""Build the bundled model from text: ``python -m data.recipe.build --work DIR [--package-list FILE.tsv …]``.

Stages keep their results below the work folder and are skipped when these exist, so a build that was
interrupted goes on where it was. See README.md in this folder for the text sources and how to fetch them.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from data.recipe import corpus, export, measure, start, teacher, vocabulary
from data.recipe.text import Pair
from data.recipe.train import Data, Settings, Tokens, train

logger = logging.getLogger(__name__)

VOCABULARY = 41_000  # with 256 int8 dimensions and the tokenizer this keeps the folder below 12 MB
CONTRASTIVE = Settings(batch=1024, epochs=1.5, rate=6e-3, dropout=0.1, question=0.15)
DISTILLATION = Settings(batch=1024, epochs=4, rate=4e-3, dropout=0.0, question=0.1, contrastive=0.1)
HELD_OUT = 4_000  # pairs kept from training to choose among runs
QUESTIONS = (
    "what is", "what is a", "what is the", "what are", "how to", "how do i", "how does", "how can i",
    "why is", "where is", "who is", "when is", "which", "is there a", "can i", "tell me about",
    "what does mean", "find", "show me", "a way to", "what happens", "information about", "explain",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all stages."""
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    pairs = load_pairs(options.work, options.package_list)
    teacher.embed_shards(pairs, options.work / "teacher", options.shards, options.threads)
    tokenizer = load_tokenizer(options.work, pairs)
    held_out, training = pairs[:HELD_OUT], pairs[HELD_OUT:]
    taught = load_taught(options.work, training, tokenizer)
    weight = load_start(options.work, tokenizer, taught)
    encode, openings = encoder(tokenizer), questions(tokenizer)

    def report(_: int, rows: NDArray[np.float32]) -> None:
        score = measure.pair_mrr(encode(rows), [pair.query for pair in held_out], [p.text for p in held_out])
        logger.info("held-out pairs: MRR %.4f", score)

    weight = train(weight, tokenize(tokenizer, training), openings, CONTRASTIVE, report)
    weight = train(weight, taught, openings, DISTILLATION, report)
    export.write_model(options.output, tokenizer, weight)
    logger.info("wrote %s", options.output)


def load_pairs(work: Path, package_lists: Sequence[Path]) -> list[Pair]:
    """Training pairs, from ``pairs.jsonl`` if an earlier run wrote it."""
    path = work / "pairs.jsonl"
    if not path.exists():
        corpus.write_pairs(corpus.build_pairs(work, package_lists), path)
    return corpus.read_pairs(path)


def load_tokenizer(work: Path, pairs: Sequence[Pair]) -> Tokenizer:
    """The student's tokenizer, from ``tokenizer.json`` if an earlier run wrote it."""
    path = work / "tokenizer.json"
    if not path.exists():
        counts = vocabulary.count_words(pairs)
        vocabulary.build_tokenizer(teacher.minilm_path(), counts, VOCABULARY).save(str(path))
    return Tokenizer.from_file(str(path))


def tokenize(tokenizer: Tokenizer, pairs: Sequence[Pair]) -> Data:
    """Pairs as training data without teacher vectors."""
    return Data(Tokens(tokenizer, [p.query for p in pairs]), Tokens(tokenizer, [p.text for p in pairs]))


def load_taught(work: Path, training: Sequence[Pair], tokenizer: Tokenizer) -> Data:
    """Training data of the pairs that the teacher has read: the first ones, by whole shards."""
    shards = [np.load(path) for path in sorted((work / "teacher").glob("[0-9][0-9][0-9].npy"))]
    vectors = np.concatenate(shards, axis=1)[:, HELD_OUT:]
    data = tokenize(tokenizer, training[: vectors.shape[1]])
    return replace(data, query_vectors=vectors[0], text_vectors=vectors[1])


def load_start(work: Path, tokenizer: Tokenizer, data: Data) -> NDArray[np.float32]:
    """Initial token vectors, from ``start.npy`` if an earlier run wrote it."""
    path = work / "start.npy"
    if not path.exists():
        flat = np.concatenate([data.queries.flat, data.texts.flat])
        counts = np.bincount(flat, minlength=tokenizer.get_vocab_size())
        axes = start.principal_axes(data.text_vectors, 256)
        reader = teacher.Teacher(teacher.minilm_path())
        np.save(path, start.start_vectors(tokenizer, reader, axes, counts))
    return np.load(path)


def questions(tokenizer: Tokenizer) -> list[NDArray[np.int32]]:
    """Token ids of the openings of questions."""
    return [np.array(tokenizer.encode(text, add_special_tokens=False).ids, np.int32) for text in QUESTIONS]


def encoder(tokenizer: Tokenizer) -> Callable[[NDArray[np.float32]], measure.Encode]:
    """A function of token vectors that gives the function from texts to vectors."""

    def with_rows(rows: NDArray[np.float32]) -> measure.Encode:
        def encode(texts: Sequence[str]) -> NDArray[np.float32]:
            tokens = Tokens(tokenizer, texts)
            offsets = torch.from_numpy(tokens.starts[:-1])
            ids = torch.from_numpy(tokens.flat.astype(np.int64))
            return torch.nn.functional.embedding_bag(
                ids, torch.from_numpy(np.asarray(rows)), offsets, mode="mean"
            ).numpy()

        return encode

    return with_rows


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--work", type=Path, required=True, help="folder that fetch.sh filled; results go there"
    )
    parser.add_argument("--output", type=Path, default=Path("data/models/stlib-static-en"))
    parser.add_argument(
        "--package-list",
        type=Path,
        nargs="*",
        default=[],
        help="tab-separated lists of packages you provide: name first, one-line summary last, with a header",
    )
    parser.add_argument("--shards", type=int, help="teach with the first SHARDS x 20,000 pairs only")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
