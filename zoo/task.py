from collections.abc import Mapping

import keras

from .model import ZooModel
from .preset import import_classes


class TaskModel(ZooModel):
    """A head around a backbone: the backbone's inputs in, a dict with the scores as `logits` out.

    The task knows its loss: `compile` is called without one. Rows may be weighted by
    `sample_weight`, see `mean_loss`. Metrics are given by output:
    `compile("adam", metrics={"logits": [...]})`.

    Args:
        backbone: the `Backbone`, kept as `model.backbone` and saved within the model's config.
    """

    def __init__(self, *, backbone, inputs, outputs, dtype=None, **kwargs):
        super().__init__(inputs=inputs, outputs=outputs, dtype=dtype, **kwargs)
        self.backbone = backbone
        if backbone is not None and backbone not in self._layers:
            # Keras 3.12, Python 3.10's last, counts no layers beside the graph: ElmoLM's mixes.
            self._layers.append(backbone)

    @property
    def transient_variables(self):
        return [] if self.backbone is None else self.backbone.transient_variables

    def leaves_out(self, path):
        return self.backbone is not None and self.backbone.leaves_out(path)

    def get_config(self):
        backbone = self.backbone
        return {
            **super().get_config(),
            "backbone": backbone and keras.saving.serialize_keras_object(backbone),
        }

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        *args,
        **kwargs,
    ):
        """As Keras's, without a loss, and with metrics by output.

        Raises:
            ValueError: a loss is given, or metrics are not a dict.
        """
        if loss is not None:  # refused before Keras keeps it, beyond the next `compile`
            raise ValueError(
                f"`loss` must not be given to `compile`: {type(self).__name__} has its own. "
                f"Received: loss={loss!r}"
            )
        for name, given in {"metrics": metrics, "weighted_metrics": weighted_metrics}.items():
            if given is not None and not isinstance(given, Mapping):
                raise ValueError(
                    f"`{name}` must be a dict from names of outputs, such as "
                    f'{{"logits": "accuracy"}}: {type(self).__name__} has several. '
                    f"Received: {name}={given!r}"
                )
        super().compile(optimizer, None, loss_weights, metrics, weighted_metrics, *args, **kwargs)

    def compile_from_config(self, config):
        # Keras's own passes over a `compile` that is not its own.
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def total_loss(self, loss):
        """What `compute_loss` returns: the loss of the data, and the penalties of the weights.

        Args:
            loss: scalar float. A mean.
        """
        return self.loss_of_replica(sum(self.losses, start=loss))

    def loss_of_replica(self, loss):
        """The loss as a replica's step has to return it."""
        # Keras's own step sums the replicas' losses; this hook divides by their number.
        return self._aggregate_additional_loss(loss)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        if config.get("backbone"):
            import_classes(config["backbone"])  # of any kind: this task's module imports none
            config["backbone"] = keras.saving.deserialize_keras_object(
                config["backbone"], custom_objects=custom_objects
            )
        return super().from_config(config, custom_objects)
