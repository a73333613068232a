"""The parts of a trainer: arguments, data, losses, loaders, evaluation, checkpoints, optimizer."""
