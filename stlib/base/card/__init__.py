"""The parts of a model card: its text, data sets and columns, and the callback that fills it in."""
