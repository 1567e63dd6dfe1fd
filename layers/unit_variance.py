import os
import platform

from keras import backend


def unit_variance(x, epsilon):
    """Divides each row of mean 0 by its standard deviation: `x / sqrt(mean(x^2) + epsilon)`.

    As a batch norm whose channels are the rows, the form in which `tf.keras` wrote its layer norm:
    where no gradient is taken TensorFlow makes one operation of it and of a scale and a shift
    behind it, which passes over the largest arrays once instead of five times. For where
    `is_unit_variance_fused`.

    Args:
        x: (..., D) float32. Each row's mean must be 0.
        epsilon: float.

    Returns:
        (..., D) float32.

    Example:
    >>> import tensorflow as tf
    >>> unit_variance(tf.constant([[-2.0, 2.0]]), 0.0).numpy().tolist()
    [[-1.0, 1.0]]
    """
    import tensorflow as tf

    shape = tf.shape(x)
    rows = tf.reshape(tf.reduce_prod(shape[:-1]), [1])
    if x.shape.is_fully_defined():
        # Of a number that is known when the graph is made TensorFlow would make constants, and it
        # does not look for them.
        rows = tf.raw_ops.PlaceholderWithDefault(input=rows, shape=[1])
    y = tf.raw_ops.FusedBatchNormV3(
        x=tf.reshape(x, tf.concat([[1], rows, shape[-1:], [1]], axis=0)),
        scale=tf.fill(rows, 1.0),
        offset=tf.fill(rows, 0.0),
        mean=tf.constant([], tf.float32),
        variance=tf.constant([], tf.float32),
        epsilon=epsilon,
        data_format="NCHW",
        is_training=True,  # by the rows' own mean and variance
    )[0]
    y = tf.reshape(y, shape)
    y.set_shape(x.shape)
    return y


def is_unit_variance_fused():
    """Whether TensorFlow has that one operation here: in graphs, of oneDNN, on x86 processors.

    Elsewhere the plain formula is faster.
    """
    if backend.backend() != "tensorflow" or platform.machine() not in ("x86_64", "AMD64"):
        return False
    import tensorflow as tf

    one_dnn = os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0"
    return one_dnn and not tf.executing_eagerly() and not tf.config.list_physical_devices("GPU")
