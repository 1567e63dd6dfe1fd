"""The mean that the losses of all tasks are, with Keras's sample weights."""

from keras import ops


def mean_loss(each, mask=None, sample_weight=None):
    """The mean of losses, each multiplied by its weight, as Keras takes it.

    The weights are no part of what is divided by: rows of weight 0 lower the mean.

    Args:
        each: (B, ...) float32. The loss of each row, or of each position of the rows.
        mask: of the shape of `each`, or None. True or 1 where a loss counts.
        sample_weight: (B,) or (B, 1), a weight a row, or of the shape of `each`; or None.

    Returns:
        scalar float32; 0 if nothing counts.

    Raises:
        ValueError: `sample_weight` is of another shape.

    Example:
    >>> losses, mask = ops.array([[1.0, 3.0], [5.0, 9.0]]), ops.array([[1, 1], [1, 0]])
    >>> float(mean_loss(losses, mask, sample_weight=ops.array([1.0, 2.0])))  # (1 + 3 + 10) / 3
    4.666666507720947
    """
    if mask is None:
        count = ops.cast(ops.size(each), "float32")
    else:
        # Not by a product: what is hidden may be no number.
        mask = ops.cast(mask, "bool")
        each = ops.where(mask, each, 0.0)
        count = ops.sum(ops.cast(mask, "float32"))
    if sample_weight is not None:
        each = each * _like(each, ops.cast(sample_weight, "float32"))
    return ops.sum(each) / ops.maximum(count, 1.0)


def _like(each, weights):
    """The weights, with axes of 1 for those of `each` that they do not have."""
    found, wanted = tuple(weights.shape), tuple(each.shape)
    fits = len(found) == len(wanted) and all(
        None in pair or pair[0] == pair[1] for pair in zip(found, wanted, strict=True)
    )
    if fits:
        return weights
    a_row = len(found) in (1, 2) and found[1:] in ((), (1,))
    if not a_row or (None not in (found[0], wanted[0]) and found[0] != wanted[0]):
        raise ValueError(
            "`sample_weight` must have a weight for each row, or for each of the losses of shape "
            f"{wanted}. Received: sample_weight.shape={found}"
        )
    return ops.reshape(weights, (-1, *(1 for _ in wanted[1:])))
