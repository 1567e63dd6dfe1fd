import keras
from keras import ops

from . import crf_algorithms


@keras.saving.register_keras_serializable(package="polysemy")
class CRFLoss(keras.losses.Loss):
    """Negative log-likelihood of tag sequences under a `CRF`, for `compile` and `fit`.

    `log sum_y exp(score(y)) - score(tags)` for each sentence, in nats; then averaged over sentences
    (`reduction`). It reads the CRF layer's output `log_potentials`, which holds transitions and
    padding, so the loss has no state and is saved with the compiled model. Example: see `CRF`.

    Shapes: B sentences, L tokens, T tags.

    Args:
        reduction: str. As for every Keras loss.
        name: str.

    Call arguments:
        y_true: (B, L) int. Tag ids; at padding 0 or negative, which is read as 0.
        y_pred: (B, L, T, T) float. `log_potentials`.
        sample_weight: (B,) float. Weight of each sentence. Optional.

    Returns:
        scalar float, or (B,) with `reduction=None`. 0 for a sentence without tokens; beyond 1e5 for
        tags that the constraints forbid, that are not 0 at padding, or ids from T on.
    """

    def __init__(self, reduction="sum_over_batch_size", name="crf_loss", dtype=None):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        if len(y_pred.shape) != 4 or y_pred.shape[2] != y_pred.shape[3]:
            raise ValueError(
                "`y_pred` must be the `log_potentials` (B, L, T, T) of a CRF layer. Received: "
                f"y_pred.shape={tuple(y_pred.shape)}"
            )
        potentials = ops.transpose(ops.cast(y_pred, "float32"), (1, 0, 2, 3))
        tags = ops.transpose(ops.maximum(ops.cast(y_true, "int32"), 0))
        partition = crf_algorithms.log_partition(potentials)
        return partition - crf_algorithms.path_score(potentials, tags)
