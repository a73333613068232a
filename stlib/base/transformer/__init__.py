"""A model of transformers: its folder, settings, inputs and outputs; the module itself is in modules/."""
