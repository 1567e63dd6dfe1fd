"""The objects inside an export: TF Hub's reusable SavedModel interface, and its named parts."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .hub_mlm import mlm_part
from .hub_preprocessor import PreprocessorPart
from .reusable_part import ReusablePart
from .signatures import SENTENCES, TOKENS, ServedFunctions


def reusable_model(
    served: ServedFunctions, call: str, signatures: dict[str, Any]
) -> tf.train.Checkpoint:
    """The object to save: `__call__` and the parts `tokens`, `preprocessor`, `encoder`, `mlm`.

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
    mlm = mlm_part(model, served.specs)
    if mlm is not None:
        root.mlm, specs = mlm
        parts[root.mlm] = specs
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
