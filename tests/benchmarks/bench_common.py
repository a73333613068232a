"""What the benchmarks share: the machine's description, medians, processes measured from outside."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

__all__ = ["cpu_name", "describe", "median_ms", "p_value", "process_cost", "sample_corpus", "time_once"]

ROOT = Path(__file__).resolve().parents[2]


def describe(*packages: str) -> None:
    """Prints hardware and versions, without which a figure means nothing."""
    print(f"{cpu_name()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(", ".join(f"{name} {_version(name)}" for name in packages))


def cpu_name() -> str:
    """Of the processor, as the system calls it."""
    info = Path("/proc/cpuinfo")
    names = []
    if info.exists():
        lines = info.read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def time_once(run: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def median_ms(run: Callable[[], object], times: int) -> float:
    """Median milliseconds of `times` calls after one that warms up."""
    run()
    return statistics.median(time_once(run) for _ in range(times)) * 1e3


def process_cost(
    arguments: Sequence[str], times: int = 5, env: dict[str, str] | None = None
) -> tuple[float, float]:
    """Median wall seconds and MiB of peak memory of a whole process, after one run that warms the file cache.

    A small parent measures each run, because the peak of a child is known to its parent only.
    """
    measure = (
        "import os, subprocess, sys, time, resource\n"
        "t = time.perf_counter()\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "t = time.perf_counter() - t\n"
        "scale = 2**20 if sys.platform == 'darwin' else 2**10\n"
        "print(t, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / scale)\n"
    )
    figures = []
    for _ in range(times + 1):
        done = subprocess.run(
            [sys.executable, "-c", measure, *arguments],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, **(env or {})},
        )
        figures.append(tuple(float(x) for x in done.stdout.split()))
    return statistics.median(f[0] for f in figures[1:]), statistics.median(f[1] for f in figures[1:])


def sample_corpus(folder: Path) -> Path:
    """The sample corpus in BEIR layout, built into `folder`."""
    builder = ROOT / "data" / "sample" / "build.py"
    subprocess.run([sys.executable, str(builder), str(folder)], check=True, stdout=subprocess.DEVNULL)
    return folder


def p_value(differences: np.ndarray, draws: int = 100_000) -> float:
    """How often random signs give a mean as far from zero as the observed one.

    That is a two-sided paired randomisation test over questions (Smucker, Allan and Carterette, "A Comparison
    of Statistical Significance Tests for Information Retrieval Evaluation", CIKM 2007).
    """
    generator = np.random.default_rng(0)
    observed = abs(differences.mean())
    extreme = 0
    for _ in range(draws // 1000):
        signs = generator.choice([-1.0, 1.0], size=(1000, len(differences)))
        extreme += int((np.abs((signs * differences).mean(axis=1)) >= observed - 1e-12).sum())
    return (extreme + 1) / (draws + 1)
