"""The objects inside an export: TF Hub's reusable SavedModel interface, and its named parts."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .hub_preprocessor import PreprocessorPart
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

    def trace(self, specs: list) -> list:
        """Traces both modes for each spec: a reloaded function cannot be traced again."""
        function: Any = self.__call__
        return [
            function.get_concrete_function(spec, training=mode)
            for spec in specs
            for mode in (True, False)
        ]

    def add_variables(self, variables: list, trainable: list, losses: list) -> None:
        """Sets the lists that TF Hub's layers read."""
        self.variables = variables
        self.trainable_variables = trainable
        self.regularization_losses = losses


def reusable_model(
    served: ServedFunctions, call: str, signatures: dict[str, Any]
) -> tf.train.Checkpoint:
    """The object to save: `__call__` and the parts `tokens`, `preprocessor`, `encoder`.

    Args:
        served: the functions of the model.
        call: "text" or "ids", what `__call__` takes.
        signatures: the traced signatures; their variables are tracked, too.
    """
    if served.alone:
        return PreprocessorPart(served)
    # Not one object under two names where `__call__` is the encoder: a part of itself would make
    # the export's object graph a cycle.
    encoder = ReusablePart(served.hub_encode)
    parts = {encoder: served.encoder_specs}
    if call == "text":
        root = ReusablePart(served.hub_text)
        parts[root] = [SENTENCES]
    else:
        root = ReusablePart(served.hub_encode)
        parts[root] = served.encoder_specs
    if served.preprocessor is not None:
        root.preprocessor = PreprocessorPart(served)
        if served.has_tokens:
            root.tokens = ReusablePart(served.hub_tokens)
            parts[root.tokens] = [TOKENS]
    root.encoder = encoder

    model = served.model
    # Keras lists a model's own layers only; an export may lie inside one of those.
    hubs = [layer for layer in model._flatten_layers() if hasattr(layer, "saved_model")]
    if hubs:  # their tables and assets come along
        root.saved_models = [layer.saved_model for layer in hubs]
    trainable = [variable.value for variable in model.trainable_variables]
    variables = [variable.value for variable in model.variables]
    # Keras keeps some state outside `model.variables` (the global seed generator, for one); a
    # function that reads an untracked variable cannot be saved.
    known = {id(variable) for variable in variables}
    traces = [trace for part, specs in parts.items() for trace in part.trace(specs)]
    for function in signatures.values():
        concrete = isinstance(function, tf.types.experimental.ConcreteFunction)
        traces.append(function if concrete else function.get_concrete_function())
    for trace in traces:
        for variable in trace.graph.variables:
            if id(variable) not in known:
                known.add(id(variable))
                variables.append(variable)
    losses = [
        regularization_loss(variable)
        for variable in model.trainable_variables
        if variable.regularizer is not None
    ]
    for layer in hubs:
        if layer.trainable:
            losses += layer.regularization_losses
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
