"""Batch samplers, a file for each kind; scripts import them from :mod:`stlib.base.sampler`."""
