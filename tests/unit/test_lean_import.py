"""A process that builds a transformers model, and the packages that only other uses of transformers need."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from stlib.base.transformer.lean_import import import_transformers_lean
from threading import Barrier, Thread
from transformers import utils
checks = utils.is_sklearn_available, utils.is_scipy_available
together = Barrier(8)
seen = []
def load():
    together.wait()
    import_transformers_lean()
    seen.append((utils.is_sklearn_available, utils.is_scipy_available))
threads = [Thread(target=load) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert seen == [checks] * 8
from transformers import BertModel
assert not {"sklearn", "pandas", "scipy.optimize", "sentence_transformers"} & set(sys.modules)

import transformers.generation.candidate_generator as generation
import transformers.loss.loss_for_object_detection as loss
assert generation.is_sklearn_available is utils.is_sklearn_available
assert loss.is_scipy_available is utils.is_scipy_available
if utils.is_sklearn_available():
    print(*generation.roc_curve([0, 1, 1], [0.1, 0.2, 0.3])[1])
if utils.is_scipy_available():
    print(*loss.linear_sum_assignment([[0.0, 1.0], [2.0, 0.0]])[1])
"""


def test_scikit_learn_and_scipy_are_imported_once_used_and_work():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()) <= {"0.0 0.5 1.0 1.0", "0 1"}
