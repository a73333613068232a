"""Runs one program with one of the libraries and prints what it found as JSON.

``python run_program.py PROGRAM LIBRARY MODEL RERANKER``; programs are written for Sentence Transformers. With
``stlib`` the documented line stands in front of them, and nothing else is different.
"""

import importlib
import json
import os
import sys
from pathlib import Path

os.environ.update(
    {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "HAYSTACK_TELEMETRY_ENABLED": "False"}
)
name, library, model_folder, reranker_folder = sys.argv[1:]

if library == "stlib":
    import stlib.compat

    stlib.compat.install()

sys.path.insert(0, str(Path(__file__).parent / "programs"))
found = importlib.import_module(name).run(model_folder, reranker_folder)

package = f"{os.sep}site-packages{os.sep}sentence_transformers{os.sep}"
files = [str(getattr(module, "__file__", None)) for module in list(sys.modules.values())]
found["files of the package"] = sum(package in file for file in files)
if library == "stlib":
    import stlib

    found["is stlib"] = sys.modules["sentence_transformers"].SentenceTransformer is stlib.SentenceTransformer
sys.stdout.write("\n" + json.dumps(found, default=float) + "\n")
