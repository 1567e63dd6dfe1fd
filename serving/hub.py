"""Reusable SavedModels inside Keras 3 models."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from keras.src.saving.serialization_lib import in_safe_mode  # Keras has no public name for it

from .hub_archive import resolve
from .saved_model_file import has_saved_model
from .version_folders import versions


@keras.saving.register_keras_serializable(package="polysemy")
class HubLayer(keras.layers.Layer):
    """A reusable SavedModel as a Keras 3 layer; fine-tunes when `trainable`.

    `hub.KerasLayer` is a layer of Keras 2 and cannot enter a Keras 3 model; this one can. It
    reads the same interface: `__call__`, `variables`, `trainable_variables`,
    `regularization_losses`. As there, the SavedModel is run in training mode only if the layer is
    trainable and the surrounding model trains, and its dtypes stay as exported.

    A `.keras` file holds the handle and the weights, so fine-tuned values survive; the SavedModel
    must still be there. It is a program, so `keras.saving.load_model` wants `safe_mode=False`.
    A model with this layer may be exported by `serving.export`: tables and assets come along.

    Under a distribution strategy make the layer inside `strategy.scope()` if it is trainable, and
    outside if it works in `Dataset.map`, as preprocessors do. (Keras 3.15 averages a batch over the
    replicas before `fit`, to see its shapes; so it cannot take strings or bools there.)

    Args:
        handle: str. Folder of one version of a SavedModel, as `serving.export` returns it; or its
            archive (`serving.archive`), as a path, a `file:` URI or, with tensorflow-hub, an
            `http(s)://` address.
        trainable: bool. Whether `fit` changes the variables of the SavedModel.
        part: str. Name of a part: "encoder", "tokens", "preprocessor"; a part of a part with a dot,
            "preprocessor.tokenize"; "serve" of what Keras 3's own `Model.export` wrote. Default:
            the SavedModel itself.
        output_key: str. The output to return where the SavedModel returns a dict. Default: all.
        arguments: dict. Further named arguments of the SavedModel's call, such as
            `{"seq_length": 64}` of "preprocessor.bert_pack_inputs"; what JSON can hold.

    Call arguments:
        inputs: a tensor, list or dict of tensors, as the SavedModel takes it. Strings for text:
            `keras.Input((), dtype="string")`.

    Returns:
        A tensor or a dict of tensors.

    Raises:
        ValueError: if there is no reusable SavedModel at `handle`, no such part, no such output.

    Example:
    >>> import tempfile
    >>> inputs = keras.Input((3,), name="features")
    >>> model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    >>> from polysemy.serving import export
    >>> layer = HubLayer(export(model, tempfile.mkdtemp()), trainable=True)
    >>> len(layer.trainable_variables), layer(tf.zeros((4, 3))).shape
    (2, TensorShape([4, 2]))

    Reference: TF Hub's "Reusable SavedModels".
    """

    def __init__(
        self,
        handle: str | os.PathLike,
        trainable: bool = False,
        part: str | None = None,
        output_key: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        # The graph's dtypes are fixed: a mixed precision policy must not cast its inputs.
        super().__init__(autocast=False, **kwargs)
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "`HubLayer` must run on Keras's TensorFlow backend. "
                f"Received: backend={keras.backend.backend()!r}"
            )
        self.handle = os.fspath(handle)
        self.part = part
        self.output_key = output_key
        self.arguments = dict(arguments or {})
        self._strategy = tf.distribute.get_strategy()
        self.saved_model = _load(self.handle)
        self._callable: Any = self.saved_model
        for name in part.split(".") if part is not None else ():
            self._callable = getattr(self._callable, name, None)
        taken = _arguments_taken(self._callable)
        if taken is None:
            raise ValueError(
                "`part` must name a callable part of the SavedModel, or be None where that is "
                f"callable itself. Received: part={part!r}, handle={self.handle!r}"
            )
        unknown = sorted(set(self.arguments) - set(taken))
        if unknown or "training" in self.arguments:
            raise ValueError(
                f"`arguments` must be of {[name for name in taken[1:] if name != 'training']}, "
                f"which the SavedModel takes. Received: arguments={self.arguments}"
            )
        self._takes_training = "training" in taken
        tunable, fixed = _variables(self._callable)
        # Keras variables around the SavedModel's own ones: no copies, so training changes what
        # the graph reads. Lists of them are tracked by Keras, in this order in weights files.
        self.tunable_variables = [_keras_variable(variable, True) for variable in tunable]
        self.fixed_variables = [_keras_variable(variable, False) for variable in fixed]
        # Not before there are variables: the setter tells each one, and Keras asks those.
        self.trainable = trainable
        self.built = True

    def build(self, input_shape: Any = None) -> None:
        """Nothing to make: the variables came with the SavedModel."""

    @property
    def regularization_losses(self) -> list[Any]:
        """The penalties of the SavedModel: functions without arguments."""
        return list(getattr(self._callable, "regularization_losses", ()))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        # By the graph that is loaded: its variables must be those that the replicas share.
        strategy = tf.distribute.get_strategy()
        if self.trainable and self.tunable_variables and strategy is not self._strategy:
            raise ValueError(
                "A trainable `HubLayer` must be made inside the `strategy.scope()` that it is "
                f"used in. Received: {type(self._strategy).__name__} when made, "
                f"{type(strategy).__name__} when called"
            )
        mode = {"training": bool(self.trainable and training)} if self._takes_training else {}
        outputs = self._callable(inputs, **self.arguments, **mode)
        if self.trainable:
            for loss in self.regularization_losses:
                self.add_loss(loss())
        if self.output_key is None:
            return outputs
        if not isinstance(outputs, dict) or self.output_key not in outputs:
            names = sorted(outputs) if isinstance(outputs, dict) else "no names"
            raise ValueError(
                f"`output_key` must be an output of the SavedModel, which has {names}. "
                f"Received: output_key={self.output_key!r}"
            )
        return outputs[self.output_key]

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {
            **config,
            "handle": self.handle,
            "part": self.part,
            "output_key": self.output_key,
            "arguments": dict(self.arguments),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> HubLayer:
        if in_safe_mode():
            raise ValueError(
                "`safe_mode` must be False to load a model with a HubLayer: its SavedModel is a "
                "program. If you trust it, pass safe_mode=False. "
                f"Received: handle={config['handle']!r}"
            )
        return cls(**config)


def _load(handle: str) -> Any:
    path = resolve(handle)
    if not has_saved_model(path):
        found = versions(path)
        hint = f" Did you mean {str(Path(path) / str(found[-1]))!r}?" if found else ""
        raise ValueError(
            f"`handle` must be the folder of a SavedModel. Received: handle={handle!r}, without "
            f"saved_model.pb.{hint}"
        )
    try:
        return tf.saved_model.load(path)
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ValueError(
            f"`handle` must be a readable SavedModel. Received: handle={handle!r}: "
            f"{' '.join(str(error).split())[:400]}"
        ) from error


def _arguments_taken(part: Any) -> list[str] | None:
    """The names of the arguments of a part; None if it cannot be called."""
    # It may be a function itself, as the endpoints of Keras's own `Model.export` are.
    function: Any = part
    if callable(part) and not hasattr(part, "function_spec"):
        function = part.__call__
    if not hasattr(function, "function_spec"):
        return None
    found = function.function_spec.fullargspec
    return [*found.args, *found.kwonlyargs]


def _variables(part: Any) -> tuple[list[tf.Variable], list[tf.Variable]]:
    """The variables of a part: those that training may change, and the others.

    Strings and the like, for which Keras has no variables, stay as they were exported.
    """
    if hasattr(part, "concrete_functions"):
        found = {id(v): v for function in part.concrete_functions for v in function.variables}
        every = list(found.values())
        tunable = [variable for variable in every if variable.trainable]
    else:
        every = list(getattr(part, "variables", ()))
        tunable = list(getattr(part, "trainable_variables", ()))
    known = {id(variable) for variable in tunable}
    fixed = [variable for variable in every if id(variable) not in known]
    return [v for v in tunable if _is_number(v)], [v for v in fixed if _is_number(v)]


def _is_number(variable: tf.Variable) -> bool:
    kind: tf.DType = variable.dtype
    return kind.is_floating or kind.is_integer or kind.is_bool or kind.is_complex


def _keras_variable(variable: tf.Variable, trainable: bool) -> keras.Variable:
    return keras.Variable(
        variable,
        shape=variable.shape,
        dtype=variable.dtype.name,
        trainable=trainable,
        name=variable.name.split(":")[0].replace("/", "_"),
    )
