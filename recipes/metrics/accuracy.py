"""Accuracy over the tokens of a batch of sentences."""

import keras


@keras.saving.register_keras_serializable(package="polysemy")
class TokenAccuracy(keras.metrics.Mean):
    """Share of tokens whose label is right, padding left out.

    Without weights, the Keras mask of the prediction says which tokens count, where there is one.

    Shapes: B sentences, L tokens, T labels.

    Call arguments:
        y_true: (B, L) int. Labels.
        y_pred: (B, L, T) float, logits or probabilities; or (B, L) integer labels, such as a CRF's
            best path.
        sample_weight: (B, L), 1 at tokens, 0 at padding; or (B,) or (B, 1). Optional.

    Returns:
        scalar float, 0 to 1.

    Example:
    >>> metric = TokenAccuracy()
    >>> metric.update_state([[1, 2, 0]], [[1, 1, 0]], sample_weight=[[1, 1, 0]])
    >>> float(metric.result())
    0.5
    """

    def __init__(self, name: str = "accuracy", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self._direction = "up"

    def update_state(self, y_true, y_pred, sample_weight=None):
        mask = getattr(y_pred, "_keras_mask", None)
        y_true = keras.ops.convert_to_tensor(y_true)
        y_pred = keras.ops.convert_to_tensor(y_pred)
        if len(y_pred.shape) == len(y_true.shape) + 1:
            y_pred = keras.ops.argmax(y_pred, axis=-1)
        if len(y_pred.shape) != 2 or len(y_true.shape) != 2:
            raise ValueError(
                "`y_true` must be (B, L) and `y_pred` (B, L, T) or (B, L). Received: "
                f"y_true.shape={tuple(y_true.shape)}, y_pred.shape={tuple(y_pred.shape)}"
            )
        right = keras.ops.equal(keras.ops.cast(y_true, "int32"), keras.ops.cast(y_pred, "int32"))
        if sample_weight is None:
            sample_weight = mask
        if sample_weight is not None:
            weight = keras.ops.convert_to_tensor(sample_weight)
            if len(weight.shape) == 1:
                weight = keras.ops.expand_dims(weight, -1)
            weight = keras.ops.cast(weight, self.dtype)
            sample_weight = keras.ops.broadcast_to(weight, keras.ops.shape(right))
        return super().update_state(keras.ops.cast(right, self.dtype), sample_weight=sample_weight)
