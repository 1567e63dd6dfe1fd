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


def class_config(labels, dropout):
    """Hugging Face's entries for the names of classes, and for the dropout in front of them.

    Example:
    >>> class_config(["no", "yes"], 0.1)["id2label"]
    {'0': 'no', '1': 'yes'}
    """
    return {
        "classifier_dropout": dropout,
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
    }


def labels_from(checkpoint):
    """The names of a checkpoint's classes, in their order, or None.

    `transformers` leaves its own names of two classes, "LABEL_0" and "LABEL_1", out of the file.

    Raises:
        ValueError: the names are not those of the classes 0, 1, 2 …
    """
    names = checkpoint.config.get("id2label")
    if names:
        numbers = [str(i) for i in range(len(names))]
        if not isinstance(names, dict) or set(names) != set(numbers):
            raise ValueError(
                f"`id2label` must name the classes 0, 1, 2 … Received: id2label={names}"
            )
        return [names[number] for number in numbers]
    scores = checkpoint.tensors.get("classifier.weight")
    if scores is None or checkpoint.layout != "hugging_face":
        return None
    return [f"LABEL_{i}" for i in range(scores.shape[0])]


def dropout_from(checkpoint):
    """The dropout in front of a published classifier, as arguments: none where it does not say."""
    if checkpoint.layout != "hugging_face":
        return {}
    found = checkpoint.config.get("classifier_dropout")
    return {"dropout": checkpoint.config["hidden_dropout_prob"] if found is None else found}
