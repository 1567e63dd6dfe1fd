from typing import Any

import keras

from ..task import TaskModel


@keras.saving.register_keras_serializable(package="polysemy")
class BertTask(TaskModel):
    """A head around a `Bert`, with the published formats that it can be read from and written to.

    A subclass names the layers of its head and their parts in published checkpoints.
    """

    #: The backbone's output that the head reads; weights that are of others only are not trained.
    uses = "sequence_output"
    #: The class of `transformers` that has the same weights.
    huggingface_class = "BertModel"
    #: Its head's tensors; see `weights.Part`.
    head_parts = ()

    @property
    def head_layers(self):
        """The layers whose weights `head_parts` are."""
        return ()

    @property
    def trainable_weights(self):
        # A weight that no loss reaches has no gradient, of which Keras warns.
        find = getattr(self.backbone, "unused_weights", None)
        unused = {id(weight) for weight in (() if find is None else find(self.uses))}
        return [weight for weight in super().trainable_weights if id(weight) not in unused]

    @property
    def trainable_variables(self):
        return self.trainable_weights

    def make_preprocessor(self):
        return None if self.backbone is None else self.backbone.preprocessor

    @classmethod
    def from_checkpoint(cls, path, allow_pickle=False, backbone=None, **arguments):
        """Loads a published model with its head.

        Args:
            path, allow_pickle: see `Bert.from_checkpoint`.
            backbone: dict or None. Constructor arguments of the `Bert` (dropout, pooling …).
            **arguments: constructor arguments of this class.

        Raises:
            FileNotFoundError, ValueError: see `Bert.from_checkpoint`.
        """
        from .backbone import Bert
        from .checkpoints import assign, build, read_checkpoint

        checkpoint = read_checkpoint(path, allow_pickle)
        arguments = {**cls.arguments_from(checkpoint), **arguments}
        make: Any = cls  # a subclass, whose constructor takes the backbone first
        model = make(build(Bert, checkpoint, backbone or {}), **arguments)
        assign(model.backbone, checkpoint, model.head_layers, cls.head_parts)
        return model

    @classmethod
    def arguments_from(cls, checkpoint):
        """Constructor arguments that the checkpoint's configuration or tensors imply."""
        return {}

    def save_as_huggingface(self, directory):
        """Writes a folder that the class of `transformers` with this head loads.

        Raises:
            FileExistsError: the folder is there and not empty.
            ValueError: `transformers` has no such model: the backbone is no `Bert`, or has
                `causal`, another activation, or for a classifier another pooling than "cls".
        """
        from .huggingface import save

        save(
            self,
            directory,
            architecture=self.huggingface_class,
            head_parts=self.head_parts,
            **self.huggingface_config(),
        )

    def huggingface_config(self):
        """Entries of `config.json` that are of the head."""
        return {}


def label_config(labels):
    """Hugging Face's entries for the names of classes.

    Example:
    >>> label_config(["no", "yes"])
    {'id2label': {'0': 'no', '1': 'yes'}, 'label2id': {'no': 0, 'yes': 1}}
    """
    return {
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
    }


def labels_from(config):
    """The names of classes out of a `config.json`, in their order, or None."""
    names = config.get("id2label")
    if not names:
        return None
    return [names[str(i)] for i in range(len(names))]


def check_labels(labels):
    """Refuses what are not distinct names of classes.

    Raises:
        ValueError: a name is there twice, or there is none.
    """
    labels = list(labels)
    if not labels or len(set(labels)) < len(labels) or not all(isinstance(x, str) for x in labels):
        raise ValueError(
            f"`labels` must be distinct names, at least one. Received: labels={labels}"
        )
    return labels
