"""Runs in a fresh environment outside the source tree: imports, presets, a forward pass, a step."""

import numpy as np

import polysemy
from polysemy import layers, recipes, serving, zoo

assert "site-packages" in polysemy.__file__, polysemy.__file__
assert recipes.list_experiments("*"), "no experiments in the wheel"
assert layers.__file__ and callable(serving.export)
for name in zoo.list_presets("*_tiny_*"):
    model = zoo.Backbone.from_preset(name)
    outputs = model(model.preprocessor(["The bank of the river", "The bank lends"]))
    sequence = np.asarray(outputs["sequence_output"])
    assert sequence.shape[:2] == (2, 5) and np.isfinite(sequence).all(), sequence.shape
    print(f"{name}: sequence_output {sequence.shape}")

# An input that no operation reads (`word_mask`), and a task's own training step.
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "banks", "lend"]
tagger = zoo.BertTagger(zoo.Bert(words, num_layers=1, num_heads=2, hidden_dim=8), tags=["N", "V"])
tagger.compile("adam")
history = tagger.fit(tagger.preprocessor(["banks lend"]), np.array([[0, 1]]), verbose=0)
assert np.isfinite(history.history["loss"]).all(), history.history
