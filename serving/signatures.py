"""What an export answers: pure functions of one Keras model, and the signatures made of them."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

SENTENCES = tf.TensorSpec([None], tf.string, name="sentences")
TOKENS = {
    "tokens": tf.TensorSpec([None, None], tf.string, name="tokens"),
    "sequence_len": tf.TensorSpec([None], tf.int32, name="sequence_len"),
}


class ServedFunctions:
    """The functions that an export traces: text, tokens or numeric inputs in, tensors out.

    Knows the model by duck typing only; every hook is optional:
    `model.preprocessor` (callable on a string `(B,)` tensor, with `tokens` and `tokenize`),
    `model.serving_outputs(outputs, inputs)` and `model.serving_signatures()`.

    Shapes: B sentences, L tokens.

    Args:
        model: a built Keras model on Keras's TensorFlow backend.

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

    def __init__(self, model: Any) -> None:
        self.model = model
        self.preprocessor: Any = getattr(model, "preprocessor", None)
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
    def encoder_spec(self) -> Any:
        """What the model itself takes, as `tf.TensorSpec`s: a dict, or one tensor or a list."""
        if self._by_name:
            return dict(self.specs)
        specs = list(self.specs.values())
        return specs[0] if len(specs) == 1 else specs

    def encode(self, inputs: Any, training: bool = False) -> Any:
        """The model's own outputs for its own inputs."""
        # Keras layers are written for tracing without AutoGraph; converting them is slow and
        # can change them.
        call = tf.autograph.experimental.do_not_convert(self.model)
        return call(inputs, training=training)

    def preprocess(self, sentences: Any) -> dict[str, Any]:
        """(B,) string -> the model's inputs."""
        return self._selected(self.preprocessor(sentences))

    def text(self, sentences: Any, training: bool = False) -> Any:
        """(B,) string -> what the text signatures return."""
        features = self.preprocess(sentences)
        outputs = self.encode(self._packed(features), training)
        if hasattr(self.preprocessor, "tokenize"):
            tokens = self.preprocessor.tokenize(sentences).to_tensor("")
            features = {**features, "tokens": _same_length(tokens, features.get("padding_mask"))}
        return self._served(outputs, features)

    def tokens(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """{tokens (B, L) string, sequence_len (B,) int32} -> as `text`, of words given."""
        tokens, lengths = inputs["tokens"], inputs["sequence_len"]
        # What lies behind a sentence's length is padding, whatever the client left there.
        inside = tf.sequence_mask(lengths, tf.shape(tokens)[1])
        tokens = tf.where(inside, tokens, "")
        features = self._selected(self.preprocessor.tokens(tokens))
        outputs = self.encode(self._packed(features), training)
        tokens = _same_length(tokens, features.get("padding_mask"))
        return self._served(outputs, {**features, "tokens": tokens})

    def ids(self, **tensors: Any) -> dict[str, Any]:
        """The model's inputs by name -> its outputs by name."""
        return as_dict(self.encode(self._packed(tensors)))

    @property
    def has_tokens(self) -> bool:
        return hasattr(self.preprocessor, "tokens")

    def signature_inputs(self) -> dict[str, dict[str, tf.TensorSpec]]:
        """Every signature's inputs: {signature: {input name: spec}}."""
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

        def text_signature(sentences):
            return as_dict(self.text(sentences))

        def tokens_signature(tokens, sequence_len):
            return as_dict(self.tokens({"tokens": tokens, "sequence_len": sequence_len}))

        functions: dict[str, Any] = {"ids": self.ids, "tokens": tokens_signature}
        functions["serving_default"] = self.ids if self.preprocessor is None else text_signature
        functions.update({name: value["function"] for name, value in self._extra().items()})
        return {
            name: tf.function(functions[name]).get_concrete_function(
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
