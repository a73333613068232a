"""What all model families share: modules, the pipeline that runs them, and their files."""

from stlib.needs import need_torch

need_torch("this model")
