"""Task: what the trainer asks of an experiment."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from ..config import Experiment
from ..strategy import speaker


class Task(abc.ABC):
    """A model, its data and its score: all that the trainer does not know.

    A task is made by its configuration's `create(experiment)`. The trainer calls `setup` once, then
    `build_model` under the scope of its strategy, `train_dataset` once for each pass over the data,
    and `evaluate` after each epoch.

    Args:
        experiment: Experiment, resolved to one variant and one seed.

    Attributes:
        experiment, data: the configuration and its `data` part; a subclass usually adds `config =
            experiment.task`.
        root: Path. The folder of the data.
        seed: int. The seed of this run.
        monitor: (name of a score of `evaluate`, "max" or "min"): what early stopping and the best
            weights follow.
        dev_split: str. The split that is evaluated after each epoch.
        evaluation_splits: tuple of str. The splits that the step `evaluate` measures; the last one
            is reported.
        say: function of str. Prints a line; of several workers only the first one's does.
    """

    monitor: tuple[str, str] = ("loss", "min")
    dev_split: str = "dev"
    evaluation_splits: tuple[str, ...] = ("dev", "test")

    def __init__(self, experiment: Experiment):
        self.experiment = experiment
        self.data = experiment.data
        self.root = Path(experiment.data.root)
        self.seed = experiment.seed
        self.say = speaker(chief=True)
        self._forward: tuple[tuple[Any, ...], Callable[..., Any]] | None = None

    def setup(self, data_root: Path) -> None:
        """Reads what the model's size depends on, such as vocabularies, out of `data_root`, which
        becomes `root`. Must give the same result each time.
        """
        self.root = data_root

    def check_data(self) -> None:
        """Called before a training: refuses data that could not be scored after it.

        Of the splits that `evaluate` is asked for, all but the dev split may be missing: a training
        does not read them.
        """
        for split in dict.fromkeys((self.dev_split, *self.evaluation_splits)):
            try:
                self.check_split(split)
            except FileNotFoundError:
                if split == self.dev_split:
                    raise

    def check_split(self, split: str) -> None:  # noqa: B027, an empty hook
        """Refuses a split that `evaluate` could not score, such as an empty or a damaged one, and
        names it and its file. Reads each file once.
        """

    @abc.abstractmethod
    def build_model(self) -> keras.Model:
        """Returns the built model. Its loss comes from `compile_arguments` or from `add_loss`.

        A model with a `compute_loss` of its own must divide it by the number of replicas, as Keras
        does with the others, because the replicas' gradients are summed.
        """

    def compile_arguments(self) -> Mapping[str, Any]:
        """Returns further arguments of `model.compile`, such as `loss` and `metrics`."""
        return {}

    @abc.abstractmethod
    def train_dataset(self, pass_seed: int) -> tf.data.Dataset:
        """Returns one pass over the training data, in batches of the global size, as `fit` takes
        them.

        The batches must depend on nothing but `pass_seed`, which differs for each run's seed and
        each pass: a run that was killed continues in the middle of a pass, and the workers of
        `multi_worker` take their shares of the same batches.
        """

    @abc.abstractmethod
    def evaluate(self, model: keras.Model, split: str) -> dict[str, float]:
        """Returns the scores of a split ("dev", "test"). The trainer restores the model's state
        (not its weights) afterwards.

        `predict` below runs the model alike under every strategy; `model.evaluate` divides the
        batches among the replicas.
        """

    def on_pass_begin(self, model: keras.Model) -> None:  # noqa: B027, an empty hook
        """Called before each pass over the training data, not when a pass is continued: resets a
        stateful model's states.
        """

    def callbacks(self) -> list[keras.callbacks.Callback]:
        """Returns further Keras callbacks. Their epochs are passes over the data."""
        return []

    def count_tokens(self, batch: Any) -> tf.Tensor:
        """Returns how many tokens a batch of `train_dataset` has, for the throughput: its
        `padding_mask`, else its examples.
        """
        inputs = _inputs(batch)
        if isinstance(inputs, Mapping) and "padding_mask" in inputs:
            return tf.reduce_sum(tf.cast(inputs["padding_mask"], tf.int64))
        return _count_examples(inputs)

    def loss_weight(self, batch: Any) -> tf.Tensor:
        """Returns how much the mean of the loss is taken over in (x, y, sample_weight): the
        examples.

        Several replicas give the loss of one only if this is right: where the loss is a mean over
        tokens, return `self.count_tokens(batch)`.
        """
        return _count_examples(batch[0])

    def details(self, model: keras.Model) -> dict[str, Any]:
        """Returns what else a trained model shows, as JSON values for the run's `result.json`."""
        return {}

    def complete(self, model: keras.Model, details: Mapping[str, Any]) -> None:  # noqa: B027
        """Called before a model with the best weights is exported: sets what it has beside them.

        Args:
            model: keras.Model.
            details: what `details` returned when these weights were scored; nothing if they were
                not.
        """

    def preset_model(self, model: keras.Model) -> keras.Model:
        """Returns the model that the step `export` also writes as a preset folder, if it is one of
        the zoo's.
        """
        return model

    def export_model(self, model: keras.Model) -> keras.Model:
        """Returns the model to export, often the trained one or its encoder."""
        return model

    def predict(
        self,
        model: keras.Model,
        dataset: tf.data.Dataset,
        function: Callable[[Any, Any], Any] | None = None,
    ) -> Iterator[tuple[Any, Any]]:
        """Yields (batch, outputs as numpy) for each batch; every worker sees all of them, so all
        workers score alike.

        Args:
            model: keras.Model.
            dataset: of batches, of which x is what the model or the function takes.
            function: function of (model, x), whose results are the outputs; None: the model's own.
                It is traced again only if another object is given, or another model.
        """
        spec = _inputs(dataset.element_spec)
        traced = (model, function, spec)
        if self._forward is None or self._forward[0] != traced:
            # Traced once, for the shapes of the data set, not in each epoch or for each length.
            compute = function or _model_outputs
            graph = tf.function(lambda inputs: compute(model, inputs))
            self._forward = (traced, graph.get_concrete_function(spec))
        forward = self._forward[1]
        for batch in dataset:
            outputs = forward(_inputs(batch))
            yield batch, tf.nest.map_structure(lambda tensor: tensor.numpy(), outputs)


def check_min_count(min_count: int) -> None:
    """Refuses a number of occurrences that no word is without."""
    if min_count < 1:
        raise ValueError(f"`task.min_count` must be at least 1. Received: min_count={min_count}.")


def _inputs(batch: Any) -> Any:
    """Returns x of (x, y, …), or of a batch that is nothing but x."""
    return batch[0] if isinstance(batch, tuple) else batch


def _model_outputs(model: Any, inputs: Any) -> Any:
    return model(inputs, training=False)


def _count_examples(inputs: Any) -> tf.Tensor:
    return tf.shape(tf.nest.flatten(inputs)[0], out_type=tf.int64)[0]
