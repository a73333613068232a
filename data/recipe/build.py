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
from data.recipe.train import Data, Frame, Settings, Tokens, train

logger = logging.getLogger(__name__)

VOCABULARY = 41_000  # with 256 int8 dimensions and the tokenizer this keeps the folder below 12 MB
# The model is the average of two: one learns from all pairs which text answers which query and then the
# teacher's view; the other stays in the teacher's coordinates, for words that training seldom meets.
CONTRASTIVE = Settings(epochs=1.5, rate=6e-3, dropout=0.1, question=0.15)
DISTILLATION = Settings(epochs=2, rate=4e-3)
ANCHORED = Settings(epochs=2, rate=6e-3, contrastive=0.4, relate_queries=False)
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
    start_rows, frame = load_start(options.work, tokenizer, taught)
    encode, openings = encoder(tokenizer), questions(tokenizer)
    sets = [held_out] + ([load_handbooks(options.work)] if (options.work / "handbooks").is_dir() else [])

    def report(_: int, rows: NDArray[np.float32]) -> None:
        scores = [measure.pair_mrr(encode(rows), [p.query for p in s], [p.text for p in s]) for s in sets]
        logger.info("MRR of held-out pairs and handbooks: %s", np.round(scores, 4))

    first = train(start_rows, tokenize(tokenizer, training), openings, CONTRASTIVE, report=report)
    first = train(first, taught, openings, DISTILLATION, report=report)
    second = train(start_rows, taught, openings, ANCHORED, frame, report)
    weight = average([first, second], encode, [pair.text for pair in held_out[:1000]])
    report(0, weight)
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
    vectors = read_vectors(work / "teacher")[:, HELD_OUT:]
    data = tokenize(tokenizer, training[: vectors.shape[1]])
    return replace(data, query_vectors=vectors[0], text_vectors=vectors[1])


def load_handbooks(work: Path) -> list[Pair]:
    """Pairs of manuals that training never sees, of queries of three words or more."""
    path = work / "pairs-handbooks.jsonl"
    if not path.exists():
        corpus.write_pairs(corpus.build_handbook_pairs(work / "handbooks"), path)
    return [pair for pair in corpus.read_pairs(path) if len(pair.query.split()) >= 3][:HELD_OUT]


def read_vectors(folder: Path) -> NDArray[np.float16]:
    """The teacher's vectors of all shards, ``[2, n, 384]``: queries, texts."""
    return np.concatenate([np.load(path) for path in sorted(folder.glob("[0-9][0-9][0-9].npy"))], axis=1)


def load_start(work: Path, tokenizer: Tokenizer, data: Data) -> tuple[NDArray[np.float32], Frame]:
    """Initial token vectors and the frame they lie in; the teacher's part is kept in ``words.npy``."""
    path = work / "words.npy"
    if not path.exists():
        reader = teacher.Teacher(teacher.minilm_path())
        np.save(path, start.read_alone(reader, vocabulary.pieces(tokenizer)))
    flat = np.concatenate([data.queries.flat, data.texts.flat])
    counts = np.bincount(flat, minlength=tokenizer.get_vocab_size())
    return start.start_vectors(np.load(path), data.text_vectors, counts, vocabulary.pieces(tokenizer))


def average(
    runs: Sequence[NDArray[np.float32]],
    encode: Callable[[NDArray[np.float32]], measure.Encode],
    texts: Sequence[str],
) -> NDArray[np.float32]:
    """Mean of the runs' token vectors, scaled first so that ``texts`` come out equally long."""
    lengths = [np.linalg.norm(encode(run)(texts), axis=1).mean() for run in runs]
    scaled = [run / length for run, length in zip(runs, lengths, strict=True)]
    return np.mean(scaled, axis=0) * np.float32(np.mean(lengths))


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
