"""The product that every layer of a Transformer is made of, in the shape that backends fuse."""

import contextlib
import contextvars
import math

from keras import backend, ops

#: name: function. BERT's program uses the tanh form of GELU, so does GPT-2's; most others the exact
#: one. They differ by up to 5e-4.
ACTIVATIONS = {
    "gelu": lambda x: ops.gelu(x, approximate=False),
    "gelu_tanh": lambda x: ops.gelu(x, approximate=True),
    "relu": ops.relu,
    "tanh": ops.tanh,
}


def check_activation(activation):
    """Refuses what is not the name of an activation.

    Raises:
        ValueError: `activation` is none of `ACTIVATIONS`.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"`activation` must be one of {sorted(ACTIVATIONS)}. Received: "
            f"activation={activation!r}"
        )


def affine(x, kernel, bias=None, activation=None, residual=None):
    """`activation(x W + b) + r` over the last axis.

    As one product of matrices with bias and activation, or bias and residual, right behind it:
    TensorFlow turns these three into one operation where no gradient is taken, but only as long as
    nothing stands between them. In half precision that saves the cost of a second product.

    Args:
        x: (..., D) float.
        kernel: (D, F), dtype of `x`.
        bias: (F,) or None, dtype of `x`.
        activation: str or None. One of `ACTIVATIONS`.
        residual: (..., F) or None, dtype of `x`. r.

    Returns:
        (..., F), dtype of `x`.
    """
    y = _product(as_rows(x), kernel)
    if bias is not None:
        y = ops.add(y, bias)
    if activation is not None:
        y = ACTIVATIONS[activation](y)
    if residual is not None:
        # Not `ops.add`, to which a residual of no rows, or of one, looks like a bias.
        y = y + as_rows(residual)
    return like_rows_of(y, x)


_IN_PARTS = contextvars.ContextVar("products_in_parts", default=False)


@contextlib.contextmanager
def products_in_parts():
    """While it lasts, `affine` adds up the float32 products of eight parts of the features.

    For few rows on a CPU, compiled by XLA. It multiplies a row by a matrix in one thread, which
    cannot read the matrix as fast as the memory gives it; the products of a batch go to any thread.
    """
    token = _IN_PARTS.set(True)
    try:
        yield
    finally:
        _IN_PARTS.reset(token)


def _product(x, kernel):
    """(N, D) and (D, F) -> (N, F)."""
    # Elsewhere the kernel may be of a shape that is not known.
    in_parts = _IN_PARTS.get() and backend.standardize_dtype(x.dtype) == "float32"
    parts = math.gcd(kernel.shape[0], 8) if in_parts else 1
    if parts == 1:
        return ops.matmul(x, kernel)
    dim, features = kernel.shape
    x = ops.transpose(ops.reshape(x, (-1, parts, dim // parts)), (1, 0, 2))
    kernel = ops.reshape(kernel, (parts, dim // parts, features))
    return ops.sum(ops.matmul(x, kernel), axis=0)


def as_rows(x):
    """(..., D) -> (N, D)."""
    return x if len(x.shape) == 2 else ops.reshape(x, (-1, x.shape[-1]))


def like_rows_of(rows, x):
    """(N, F) -> (..., F), undoing `as_rows(x)`."""
    count = len(x.shape) - 1
    if count == 1:
        return rows
    return ops.reshape(rows, (*leading_shape(x, count), ops.shape(rows)[-1]))


def leading_shape(x, count):
    """The sizes of the first `count` axes of x for a reshaping that keeps them.

    One that is not known is -1, which costs a graph nothing; of several each is read from `x`.
    """
    shape = [-1 if size is None else size for size in x.shape[:count]]
    return shape if shape.count(-1) < 2 else ops.shape(x)[:count]
