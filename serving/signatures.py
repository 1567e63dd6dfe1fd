"""What an export answers: pure functions of one Keras model, and the signatures made of them."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .hub_names import (
    from_hub_inputs,
    hub_input_specs,
    takes_hub_inputs,
    to_hub_inputs,
    with_hub_outputs,
)

SENTENCES = tf.TensorSpec([None], tf.string, name="sentences")
TOKENS = {
    "tokens": tf.TensorSpec([None, None], tf.string, name="tokens"),
    "sequence_len": tf.TensorSpec([None], tf.int32, name="sequence_len"),
}


class ServedFunctions:
    """The functions that an export traces: text, tokens or numeric inputs in, tensors out.

    Knows the model by duck typing only; every hook is optional:
    `model.preprocessor` (callable on a string `(B,)` tensor), `model.serving_outputs(outputs,
    inputs)` and `model.serving_signatures()`, {name: {"function", "inputs"}}; a `tf.function` with
    an `input_signature` keeps its default values; `model.masked_lm`, see `mlm_part`;
    `model.max_length`, or its backbone's: as many `token_ids` may be in a row. Of the preprocessor:

    - `tokens(words)`: string (B, L) or ragged -> the model's inputs; `tokenize(sentences)`: (B,)
      string -> ragged words, strings or int32 ids;
    - for transformers, by which exports follow TF Hub's text conventions:
      `tokenize_ids(sentences)` -> ragged int32 (B, (pieces)) or (B, (words), (pieces)), where
      `tokenize` gives strings; `tokenize_with_offsets(sentences)` -> ids, starts, limits;
      `pack(segments, seq_length)`: a list of one or two such ragged tensors and a scalar -> the
      model's inputs; `special_tokens()` -> dict of int: `vocab_size`, `padding_id`,
      `start_of_sequence_id`, `end_of_segment_id`, `mask_id`.

    Shapes: B sentences, L tokens.

    Args:
        model: a built Keras model on Keras's TensorFlow backend.
        alone: bool. Serve the preprocessor alone: `serving_default` returns what it does.

    Raises:
        ValueError: if the inputs of the model cannot be known or the preprocessor does not
            produce them.

    Example:
    >>> import keras
    >>> inputs = keras.Input((3,), name="features")
    >>> served = ServedFunctions(keras.Model(inputs, keras.layers.Dense(2)(inputs)))
    >>> served.signature_inputs()["serving_default"]["features"].shape
    TensorShape([None, 3])
    """

    def __init__(self, model: Any, alone: bool = False) -> None:
        self.model = model
        self.alone = alone
        self.preprocessor: Any = getattr(model, "preprocessor", None)

        # One graph of the model for each mode and shape, and one of the preprocessor: signatures
        # and parts, which would have a dozen copies, call these. Keras layers are written for
        # tracing without AutoGraph; converting them is slow and can change them.
        limit = _max_length(model)
        self._model_graph = tf.function(
            lambda inputs, training: model(_fitting(inputs, limit), training=training),
            autograph=False,
        )
        self._text_graph = tf.function(lambda sentences: self.preprocessor(sentences))
        self._tokens_graph = tf.function(lambda tokens: self.preprocessor.tokens(tokens))
        structure = _input_structure(model)
        self._by_name = structure is None or isinstance(structure, dict)
        if structure is not None:
            self.specs = _specs_of(structure)
        elif self.preprocessor is not None:
            self.specs = _specs_from_preprocessor(self.preprocessor)
        else:
            raise ValueError(
                "`model` must be a functional Keras model, or have a `preprocessor` that shows "
                f"its inputs. Received: model={model.name!r} of class {type(model).__name__}"
            )

    @property
    def takes_hub_inputs(self) -> bool:
        """Whether the model is a transformer encoder as TF Hub's conventions for text describe."""
        return self._by_name and takes_hub_inputs(self.specs, self.preprocessor)

    @property
    def encoder_specs(self) -> list[Any]:
        """What the model itself takes: a dict of specs (or two, with TF Hub's), one, or a list."""
        if self._by_name:
            own = [dict(self.specs)]
            return [*own, hub_input_specs(self.specs)] if self.takes_hub_inputs else own
        specs = list(self.specs.values())
        return [specs[0] if len(specs) == 1 else specs]

    def encode(self, inputs: Any, training: bool = False) -> Any:
        """The model's own outputs for its own inputs."""
        if tf.executing_eagerly():  # what the model itself says, to compare with
            return self.model(inputs, training=training)
        return self._model_graph(inputs, training)

    def preprocess(self, sentences: Any) -> dict[str, Any]:
        """(B,) string -> the model's inputs."""
        eager = tf.executing_eagerly()
        return self._selected((self.preprocessor if eager else self._text_graph)(sentences))

    def hub_preprocess(self, sentences: Any) -> dict[str, Any]:
        """(B,) string -> what the part `encoder` takes, under TF Hub's names if it has them."""
        features = self.preprocess(sentences)
        return to_hub_inputs(features) if self.takes_hub_inputs else features

    def text(self, sentences: Any, training: bool = False) -> Any:
        """(B,) string -> what the text signatures return."""
        return self._text(sentences, training)[0]

    def text_signature(self, sentences: Any) -> dict[str, Any]:
        """(B,) string -> the outputs of `serving_default`, by name."""
        return self.hub_preprocess(sentences) if self.alone else as_dict(self.text(sentences))

    def hub_text(self, sentences: Any, training: bool = False) -> Any:
        """As `text`, with the outputs that TF Hub's encoders have."""
        return with_hub_outputs(*self._text(sentences, training))

    def tokens(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """{tokens (B, L) string, sequence_len (B,) int32} -> as `text`, of words given."""
        return self._tokens(inputs, training)[0]

    def hub_tokens(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """As `tokens`, with the outputs that TF Hub's encoders have."""
        return with_hub_outputs(*self._tokens(inputs, training))

    def hub_encode(self, inputs: Any, training: bool = False) -> Any:
        """As `encode`, with inputs under TF Hub's names, too, and the outputs that it names."""
        if not isinstance(inputs, dict):
            return self.encode(inputs, training)
        inputs = from_hub_inputs(inputs, self.specs)
        return with_hub_outputs(self.encode(inputs, training), inputs)

    def _text(self, sentences: Any, training: bool) -> tuple[Any, dict[str, Any]]:
        features = self.preprocess(sentences)
        outputs = self.encode(self._packed(features), training)
        words = self.words(sentences)
        if words is not None:
            tokens = _same_length(words.to_tensor(""), features.get("padding_mask"))
            features = {**features, "tokens": tokens}
        return self._served(outputs, features), features

    def words(self, sentences: Any) -> tf.RaggedTensor | None:
        """(B,) string -> (B, (L)) string, or None where the preprocessor does not tell words."""
        if not hasattr(self.preprocessor, "tokenize"):
            return None
        words = self.preprocessor.tokenize(sentences)
        return words if words.dtype == tf.string and words.ragged_rank == 1 else None

    def _tokens(self, inputs: dict[str, Any], training: bool) -> tuple[Any, dict[str, Any]]:
        tokens, lengths = inputs["tokens"], inputs["sequence_len"]
        shape = tf.shape(tokens)
        fits = tf.logical_and(tf.size(lengths) == shape[0], tf.reduce_all(lengths <= shape[1]))
        rule = "`sequence_len` must hold a number from 0 to L for each row of `tokens` (B, L)."
        check = tf.debugging.Assert(
            tf.logical_and(fits, tf.reduce_all(lengths >= 0)),
            [f"{rule} Received: sequence_len", lengths, "tokens of shape", shape],
        )
        with tf.control_dependencies([check]):
            lengths = tf.identity(lengths)
        # What lies behind a sentence's length is padding, whatever the client left there.
        inside = tf.sequence_mask(lengths, shape[1])
        tokens = tf.where(inside, tokens, "")
        features = self._selected(self._tokens_graph(tokens))
        outputs = self.encode(self._packed(features), training)
        tokens = _same_length(tokens, features.get("padding_mask"))
        return self._served(outputs, {**features, "tokens": tokens}), features

    def ids(self, **tensors: Any) -> dict[str, Any]:
        """The model's inputs by name -> its outputs by name."""
        return as_dict(self.encode(self._packed(tensors)))

    @property
    def has_tokens(self) -> bool:
        return hasattr(self.preprocessor, "tokens")

    def signature_inputs(self) -> dict[str, dict[str, tf.TensorSpec]]:
        """Every signature's inputs: {signature: {input name: spec}}."""
        if self.alone:
            return {"serving_default": {"sentences": SENTENCES}}
        inputs = {"ids": self.specs}
        if self.preprocessor is None:
            inputs["serving_default"] = self.specs
        else:
            inputs["serving_default"] = {"sentences": SENTENCES}
            if self.has_tokens:
                inputs["tokens"] = TOKENS
        for name, signature in self._extra().items():
            inputs[name] = signature["inputs"]
        return inputs

    def signatures(self) -> dict[str, Any]:
        """Every signature as a traced function with named inputs and a dict of outputs."""

        def tokens_signature(tokens, sequence_len):
            return as_dict(self.tokens({"tokens": tokens, "sequence_len": sequence_len}))

        functions: dict[str, Any] = {"ids": self.ids, "tokens": tokens_signature}
        functions["serving_default"] = (
            self.ids if self.preprocessor is None else self.text_signature
        )
        functions.update({name: value["function"] for name, value in self._extra().items()})
        return {
            name: functions[name]
            # Saved as it is, with the values that its arguments default to.
            if isinstance(functions[name], tf.types.experimental.PolymorphicFunction)
            else tf.function(functions[name]).get_concrete_function(
                **{key: _renamed(spec, key) for key, spec in specs.items()}
            )
            for name, specs in self.signature_inputs().items()
        }

    def _extra(self) -> dict[str, Any]:
        hook = getattr(self.model, "serving_signatures", None)
        return hook() if hook is not None else {}

    def _served(self, outputs: Any, inputs: dict[str, Any]) -> Any:
        hook = getattr(self.model, "serving_outputs", None)
        return outputs if hook is None else hook(outputs, inputs)

    def _selected(self, features: dict[str, Any]) -> dict[str, Any]:
        """The preprocessor's tensors that the model takes; it may return more than these."""
        missing = sorted(set(self.specs) - set(features))
        if missing:
            raise ValueError(
                "`model.preprocessor` must return every input of the model. Received: "
                f"{sorted(features)}, without {missing}"
            )
        return {name: features[name] for name in self.specs}

    def _packed(self, features: dict[str, Any]) -> Any:
        """Named tensors in the structure that the model is called with."""
        if self._by_name:
            return {name: features[name] for name in self.specs}
        values = [features[name] for name in self.specs]
        return values[0] if len(values) == 1 else values


def as_dict(outputs: Any) -> dict[str, Any]:
    """Outputs by name; what has no name is called as Keras calls it, `output_0` onwards.

    Example:
    >>> sorted(as_dict([tf.zeros(1), tf.zeros(2)]))
    ['output_0', 'output_1']
    """
    if isinstance(outputs, dict):
        return outputs
    if not isinstance(outputs, (list, tuple)):
        outputs = [outputs]
    return {f"output_{i}": output for i, output in enumerate(outputs)}


def _max_length(model: Any) -> int | None:
    """The positions of a model, or of the backbone inside it; None where there is no limit."""
    while model is not None:
        limit = getattr(model, "max_length", None)
        if limit is not None:
            return int(limit)
        model = getattr(model, "backbone", None)
    return None


def _fitting(inputs: Any, limit: int | None) -> Any:
    """The same inputs, behind a check that the model has positions for all `token_ids`.

    In a graph the length is known only when it runs, and the model's layers cannot say then what
    is wrong: Keras's backends have no assertion in common.
    """
    if limit is None or not isinstance(inputs, dict) or "token_ids" not in inputs:
        return inputs
    token_ids = inputs["token_ids"]
    length = tf.shape(token_ids)[1]
    rule = f"`token_ids` must have at most {limit} columns, one for each position. Received:"
    check = tf.debugging.Assert(length <= limit, [rule, length])
    with tf.control_dependencies([check]):
        return {**inputs, "token_ids": tf.identity(token_ids)}


def _input_structure(model: Any) -> Any:
    """The model's symbolic inputs, or None where it has none (a subclass with its own `call`)."""
    try:
        return model.input
    except (AttributeError, ValueError):
        return None


def _specs_of(structure: Any) -> dict[str, tf.TensorSpec]:
    if isinstance(structure, dict):
        named = structure.items()
    else:
        tensors = structure if isinstance(structure, (list, tuple)) else [structure]
        named = [(tensor.name, tensor) for tensor in tensors]
    specs = {}
    for name, tensor in named:
        if not hasattr(tensor, "shape") or not hasattr(tensor, "dtype"):
            raise ValueError(
                "`model` must take one tensor, a list or a flat dict of tensors. "
                f"Received: input {name!r} of class {type(tensor).__name__}"
            )
        # The batch is free even where the graph was built for one size (stateful models).
        shape = [None, *tensor.shape[1:]]
        specs[name] = tf.TensorSpec(shape, tensor.dtype, name=name)
    return specs


def _specs_from_preprocessor(preprocessor: Any) -> dict[str, tf.TensorSpec]:
    def preprocess(sentences):
        return preprocessor(sentences)

    outputs = tf.function(preprocess).get_concrete_function(SENTENCES).structured_outputs
    return {
        name: tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype, name=name)
        for name, tensor in outputs.items()
    }


def _renamed(spec: tf.TensorSpec, name: str) -> tf.TensorSpec:
    return tf.TensorSpec(spec.shape, spec.dtype, name=name)


def _same_length(tokens: tf.Tensor, padding_mask: Any) -> tf.Tensor:
    """Cuts or pads (B, L) tokens to the width of the mask: a fixed `sequence_length` does both."""
    if padding_mask is None:
        return tokens
    length = tf.shape(padding_mask)[1]
    tokens = tokens[:, :length]
    missing = length - tf.shape(tokens)[1]
    return tf.pad(tokens, tf.stack([[0, 0], [0, missing]]), constant_values="")
