"""The preprocessor inside an export, as TF Hub's conventions for text name its parts."""

from __future__ import annotations

import itertools
from typing import Any

import tensorflow as tf

from .hub_names import to_hub_inputs
from .signatures import SENTENCES, ServedFunctions

DEFAULT_SEQ_LENGTH = 128


class PreprocessorPart(tf.train.Checkpoint):
    """The preprocessor of an export: (B,) string -> the encoder's inputs. Without training mode.

    Has the parts `tokenize`, `tokenize_with_offsets` and `bert_pack_inputs` where the model's
    preprocessor has the hooks for them (see `ServedFunctions`). With `bert_pack_inputs` both it and
    the call return TF Hub's `input_word_ids`, `input_mask`, `input_type_ids`, which the part
    `encoder` takes as well as Polysemy's names.

    Args:
        served: the functions of a model that has a preprocessor.

    Reference: TF Hub's "Common SavedModel APIs for Text".
    """

    def __init__(self, served: ServedFunctions) -> None:
        super().__init__()
        preprocessor = served.preprocessor
        self._function = served.hub_preprocess
        # Keeps the vocabulary tables, hence their asset files, in the export.
        self.tables = preprocessor
        function: Any = self.__call__
        function.get_concrete_function(SENTENCES)
        self.variables = list(getattr(preprocessor, "variables", ()))
        self.trainable_variables = []
        ids = getattr(preprocessor, "tokenize_ids", getattr(preprocessor, "tokenize", None))
        if ids is not None:
            special = getattr(preprocessor, "special_tokens", None)
            self.tokenize = (
                _Part(ids, preprocessor)
                if special is None
                else _SpecialTokens(ids, preprocessor, special())
            )
            self.tokenize.trace(SENTENCES)
        offsets = getattr(preprocessor, "tokenize_with_offsets", None)
        if offsets is not None:
            # A plain tuple, whatever the hook names its three: the reader has only the SavedModel.
            self.tokenize_with_offsets = _Part(lambda text: tuple(offsets(text)), preprocessor)
            self.tokenize_with_offsets.trace(SENTENCES)
        if served.takes_hub_inputs:
            self.bert_pack_inputs = _PackInputs(served)

    @tf.function
    def __call__(self, inputs):
        return self._function(inputs)


class _Part(tf.train.Checkpoint):
    """A function of sentences that is never trained."""

    def __init__(self, function: Any, preprocessor: Any) -> None:
        super().__init__()
        self._function = tf.autograph.experimental.do_not_convert(function)
        self.tables = preprocessor
        self.variables = list(getattr(preprocessor, "variables", ()))
        self.trainable_variables = []

    @tf.function
    def __call__(self, inputs):
        return self._function(inputs)

    def trace(self, *specs: Any) -> None:
        function: Any = self.__call__
        function.get_concrete_function(*specs)


class _SpecialTokens(_Part):
    """A tokenizer that also names the ids of its special tokens."""

    def __init__(self, function: Any, preprocessor: Any, special: dict[str, int]) -> None:
        super().__init__(function, preprocessor)
        self._special = tuple((name, int(value)) for name, value in special.items())

    @tf.function(input_signature=[])
    def get_special_tokens_dict(self):
        return {name: tf.constant(value, tf.int32) for name, value in self._special}


class _PackInputs(tf.train.Checkpoint):
    """One or two segments of token ids, ragged (B, (L)) or (B, (words), (pieces)) -> inputs."""

    def __init__(self, served: ServedFunctions) -> None:
        super().__init__()
        self._function = served.preprocessor.pack
        self.tables = served.preprocessor
        function: Any = self.__call__
        length = tf.TensorSpec([], tf.int32, name="seq_length")
        # A reloaded function has no Python left: each allowed combination is traced now.
        for segments, ragged_rank in itertools.product((1, 2), (1, 2)):
            spec = tf.RaggedTensorSpec([None] * (ragged_rank + 1), tf.int32, ragged_rank)
            function.get_concrete_function([spec] * segments, seq_length=length)
        self.variables = list(getattr(served.preprocessor, "variables", ()))
        self.trainable_variables = []

    @tf.function(autograph=False)
    def __call__(self, inputs, seq_length=DEFAULT_SEQ_LENGTH):
        return to_hub_inputs(self._function(list(inputs), seq_length))
