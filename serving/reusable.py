"""The objects inside an export: TF Hub's reusable SavedModel interface, and its named parts."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .signatures import SENTENCES, TOKENS, ServedFunctions


class ReusablePart(tf.train.Checkpoint):
    """A callable that fine-tunes after reloading: `__call__`, variables, regularization losses.

    Args:
        function: callable(inputs, training) that is pure but for the variables.

    Reference: TF Hub's "Reusable SavedModels".
    """

    def __init__(self, function: Any) -> None:
        super().__init__()
        self._function = function

    # TensorFlow saves methods only if their first parameter is called `self`.
    @tf.function
    def __call__(self, inputs, training=False):
        return self._function(inputs, training)

    def trace(self, spec: Any) -> list:
        """Traces both modes: a reloaded function has no Python left to trace again."""
        function: Any = self.__call__
        return [function.get_concrete_function(spec, training=mode) for mode in (True, False)]

    def add_variables(self, variables: list, trainable: list, losses: list) -> None:
        """Sets the lists that TF Hub's layers read."""
        self.variables = variables
        self.trainable_variables = trainable
        self.regularization_losses = losses


class PreprocessorPart(tf.train.Checkpoint):
    """The preprocessor of an export: (B,) string -> the model's inputs. Without training mode."""

    def __init__(self, served: ServedFunctions) -> None:
        super().__init__()
        self._function = served.preprocess
        # Keeps the vocabulary tables, hence their asset files, in the export.
        self.tables = served.preprocessor
        function: Any = self.__call__
        function.get_concrete_function(SENTENCES)
        self.variables = list(getattr(served.preprocessor, "variables", ()))
        self.trainable_variables = []

    @tf.function
    def __call__(self, inputs):
        return self._function(inputs)


def reusable_model(
    served: ServedFunctions, call: str, signatures: dict[str, Any]
) -> tf.train.Checkpoint:
    """The object to save: `__call__` and the parts `tokens`, `preprocessor`, `encoder`.

    Args:
        served: the functions of the model.
        call: "text" or "ids", what `__call__` takes.
        signatures: the traced signatures; their variables are tracked, too.
    """
    # Not one object under two names where `__call__` is the encoder: a part of itself would make
    # the export's object graph a cycle.
    encoder = ReusablePart(served.encode)
    parts = {encoder: served.encoder_spec}
    if call == "text":
        root = ReusablePart(served.text)
        parts[root] = SENTENCES
    else:
        root = ReusablePart(served.encode)
        parts[root] = served.encoder_spec
    if served.preprocessor is not None:
        root.preprocessor = PreprocessorPart(served)
        if served.has_tokens:
            root.tokens = ReusablePart(served.tokens)
            parts[root.tokens] = TOKENS
    root.encoder = encoder

    model = served.model
    trainable = [variable.value for variable in model.trainable_variables]
    variables = [variable.value for variable in model.variables]
    # Keras keeps some state outside `model.variables` (the global seed generator, for one); a
    # function that reads an untracked variable cannot be saved.
    known = {id(variable) for variable in variables}
    traces = [trace for part, spec in parts.items() for trace in part.trace(spec)]
    for trace in [*traces, *signatures.values()]:
        for variable in trace.graph.variables:
            if id(variable) not in known:
                known.add(id(variable))
                variables.append(variable)
    losses = [
        regularization_loss(variable)
        for variable in model.trainable_variables
        if variable.regularizer is not None
    ]
    for part in parts:
        part.add_variables(list(variables), list(trainable), list(losses))
    return root


def regularization_loss(variable: Any) -> Any:
    """The penalty on one Keras variable, as the zero-argument function that TF Hub expects."""
    regularizer, value = variable.regularizer, variable.value

    @tf.function(input_signature=[], autograph=False)
    def loss():
        return regularizer(value)

    return loss
