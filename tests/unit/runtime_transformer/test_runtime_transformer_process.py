"""A program around a transformer: ONNX Runtime is imported when needed, and texts are encoded to its end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_onnx_runtime_is_imported_only_for_onnx_files_and_named_when_missing(folder: Path) -> None:
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from stlib.runtime import Encoder, MissingDependencyError\n"
        "Encoder.load()\n"
        "try: Encoder.load(sys.argv[1])\n"
        "except MissingDependencyError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    assert (
        "onnx/model.onnx runs on ONNX Runtime, which is not installed: pip install onnxruntime" in done.stdout
    )


AT_THE_END = """
import atexit, sys, threading, time
from stlib.runtime import Encoder
from stlib.runtime import encoder as module

module.available_cores = lambda: 3  # several batches at a time, whatever the machine
encoder = Encoder.load(sys.argv[1])
texts = ["red car fast " * 3, "green " * 9] * 200

def encode(moment):
    print(moment, encoder.encode(texts).sum(axis=0).round().tolist(), flush=True)

def outlive():
    threading.main_thread().join()
    time.sleep(0.3)
    encode("after the main thread")

atexit.register(encode, "at exit")
threading.Thread(target=outlive).start()
"""


def test_many_texts_are_encoded_while_the_program_ends(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_END, str(folder)], capture_output=True, text=True, timeout=60
    )
    # Sums of three times red + car + fast and of nine times green, over 9 + 2 tokens, 200 times each
    sums = [float(round(200 * total / 11)) for total in (39, 30 + 36, 21 + 36)]
    expected = [f"after the main thread {sums}", f"at exit {sums}"]
    assert (done.stdout.splitlines(), done.returncode) == (expected, 0), done.stderr
