"""The command `polysemy`: parses and calls, nothing else. `main` is what the console script runs.

Every part of Polysemy is imported inside the command that needs it, so that help and completion
answer without waiting for TensorFlow.
"""

# The modules add their commands to `cli` when they are imported.
from . import recipes, serving, zoo
from .base import Command, cli, main

__all__ = ["Command", "cli", "main", "recipes", "serving", "zoo"]
