import difflib
import functools
import inspect
from typing import Any

import keras

from . import preset as presets
from .given import check_no_text, check_targets
from .layer_flags import changed_flags, layer_flags, set_flags


class ZooModel(keras.Model):
    """What every model of the zoo can do: presets, a preprocessor, a config that rebuilds it.

    A subclass builds a functional graph in `__init__`, dict of named inputs in, dict of named
    outputs out; the names are also those of the exported signatures. Its `get_config` returns every
    constructor argument, and which layers were frozen or thawed since.

    Raises:
        ValueError: an argument that the class does not have; the nearest name is given.
    """

    def __init__(self, *, inputs, outputs, dtype=None, trainable=True, name=None, **kwargs):
        # Keras would ignore them.
        _check_no_more(type(self), kwargs)
        # A functional model computes in its layers' dtypes: the policy is kept for `get_config`.
        self._layers_dtype = None if dtype is None else keras.dtype_policies.get(dtype)
        for x in keras.tree.flatten(inputs):
            keras.ops.copy(x)  # Keras 3.12, Python 3.10's last, refuses inputs that nothing reads
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        # Keras's constructor sets this before the model has layers: False would not reach them, and
        # True, out of a saved config, would thaw what the model has frozen.
        self.trainable = trainable
        self._flags_when_made = layer_flags(self)

    def make_preprocessor(self):
        """Builds the `Preprocessor` that makes this model's inputs; None if there is none."""
        return None

    @functools.cached_property
    def preprocessor(self):
        """Text in, inputs out. Made on first use: the graph itself needs no TensorFlow."""
        return self.make_preprocessor()

    def __call__(self, *args, **kwargs):
        if args:
            check_no_text("inputs", args[0])
        return super().__call__(*args, **kwargs)

    def fit(self, x=None, y=None, *args, **kwargs):
        """As Keras's.

        Raises:
            ValueError: `x` is text, or `y` is a list of numbers or text.
        """
        _check_data(x, y)
        self._build_optimizer()
        try:
            return super().fit(x, y, *args, **kwargs)
        except Exception:
            # A function whose first trace failed makes no variables: the next call needs another.
            self.train_function = None
            raise

    def _build_optimizer(self):
        """Makes the optimizer's variables: a first step that makes them is traced once more."""
        optimizer = getattr(self, "optimizer", None)  # none before `compile`
        if keras.backend.backend() != "tensorflow" or optimizer is None or optimizer.built:
            return
        with self.distribute_strategy.scope():
            optimizer.build(self.trainable_variables)

    def _build_metrics(self, iterator):
        """Makes the variables of the metrics that `compile` was given, for the same reason.

        Not of data whose shapes nobody knows before the first batch.
        """
        metrics = self._compile_metrics
        if metrics is None or metrics.built:
            return
        _, y, _ = keras.utils.unpack_x_y_sample_weight(iterator._get_iterator().element_spec)
        if y is None or any(x.shape.rank is None for x in keras.tree.flatten(y)):
            return
        y = keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape, x.dtype), y)
        metrics.build(y, self.output)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """As Keras's. Raises as `fit`."""
        _check_data(x, y)
        return super().evaluate(x, y, *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        """As Keras's. Raises as `fit`."""
        _check_data(x)
        return super().predict(x, *args, **kwargs)

    @property
    def transient_variables(self):
        """Non-trainable weights that are no part of the model's file: states kept between calls."""
        return []

    def leaves_out(self, path):
        """Whether a preset may have a weight of this path that this model does not have."""
        return False

    def get_config(self):
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable}
        changes = changed_flags(self, self._flags_when_made)
        if changes:
            config["layers_trainable"] = changes
        if self._layers_dtype is not None:
            config["dtype"] = keras.dtype_policies.serialize(self._layers_dtype)
        return config

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Keras adds up the replicas' parts of a batch here, which it cannot where they are masks.
        if iterator is not None and self.distribute_strategy.num_replicas_in_sync > 1:
            split = self.distribute_strategy.experimental_local_results
            _, _, batches = next(iter(iterator))
            data_batch = keras.tree.map_structure(lambda x: split(x)[0], next(batches))
            iterator = None
        elif iterator is not None and self._distribute_strategy is None:
            self._build_metrics(iterator)  # where Keras leaves it to the first step
        super()._maybe_symbolic_build(iterator, data_batch)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        changes = config.pop("layers_trainable", {})
        model = cls(**config)
        set_flags(model, changes)
        return model

    def save_to_preset(self, directory, dtype=None, card=None):
        """Writes config, vocabulary and weights to a folder that `from_preset` reads.

        Args:
            directory: where. An older preset there is replaced once the new one is complete.
            dtype: "float16" halves the file; None keeps each weight as it is.
            card: str. Text of a README.md to put beside the weights.
        """
        presets.save(self, directory, dtype=dtype, card=card)

    @classmethod
    def from_preset(cls, preset, **overrides):
        """Loads a model by the name of a preset or from a folder.

        A preset of a task also serves its backbone: `Elmo.from_preset` takes the `Elmo` out of the
        language model that the preset holds.

        Args:
            preset: a name out of `list_presets()`, or a folder written by `save_to_preset`.
            **overrides: constructor arguments of this class that leave the weights' shapes as
                they are.

        Raises:
            ValueError: the name is unknown, the preset holds no model of this class, or the class
                has no such argument.
        """
        return presets.load_preset(preset, cls, overrides)


def _check_data(x, y=None):
    check_no_text("x", x)
    if y is not None:
        check_targets(y)


def _check_no_more(cls, arguments):
    """Refuses what is left of a constructor's arguments, for the first with the nearest name."""
    if not arguments:
        return
    of_classes = (
        inspect.signature(base.__init__).parameters.values()
        for base in cls.__mro__
        if issubclass(base, ZooModel) and "__init__" in vars(base)
    )
    known = {
        parameter.name
        for parameters in of_classes
        for parameter in parameters
        if parameter.kind is not parameter.VAR_KEYWORD
    } - {"self", "inputs", "outputs"}
    name, value = next(iter(arguments.items()))
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f". Nearest name: {near[0]}" if near else f". Its arguments: {', '.join(sorted(known))}"
    raise ValueError(
        f"`{name}` must be an argument of {cls.__name__}. Received: {name}={value!r}{hint}"
    )
