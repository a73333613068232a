"""The modules of a pipeline in numpy and ONNX Runtime, equal to those of the full library."""
