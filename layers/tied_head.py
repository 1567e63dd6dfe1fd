import keras


@keras.saving.register_keras_serializable(package="polysemy")
class TiedHead(keras.layers.Layer):
    """Base of the heads that score a vocabulary, perhaps by another layer's token vectors.

    Args:
        vocabulary_size: int.
        tie_to: keras.layers.Layer or None. The layer whose vectors are used: saved with the head
            and shared again when it is loaded. `copy.deepcopy` keeps them shared, too;
            `keras.models.clone_model` and a functional model's `from_config` do not.
    """

    def __init__(self, vocabulary_size, tie_to=None, **kwargs):
        super().__init__(**kwargs)
        if vocabulary_size < 1:
            raise ValueError(
                f"`vocabulary_size` must be at least 1. Received: vocabulary_size={vocabulary_size}"
            )
        self.vocabulary_size = vocabulary_size
        self.tie_to = tie_to

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "tie_to": keras.saving.serialize_keras_object(self.tie_to) if self.tie_to else None,
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        if config.get("tie_to"):
            config["tie_to"] = keras.saving.deserialize_keras_object(config["tie_to"])
        return cls(**config)
