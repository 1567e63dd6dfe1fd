from typing import Any

from keras import ops

from .masks import causal_attention_mask


class CachePlace:
    """Where in an attention's cache the keys or values of some new positions belong.

    It is the same in all layers of a model: worked out once, a decoder's graph is a third smaller.

    Shapes: B batch, L new positions, M positions of a cache, H heads, d features of a head.

    Args:
        index: int, scalar or (B,) int tensor. Where the first new position goes, of all rows or of
            each row.
        batch_size: int or scalar tensor. B.
        length: int or scalar tensor. L.
        size: int or scalar tensor. M.
        num_heads: int. H.

    Attributes:
        visible: (1, 1, L, M) or (B, 1, L, M) bool. True where a new position may attend: up to
            itself.

    Example:
    >>> place = CachePlace(index=1, batch_size=1, length=1, size=3, num_heads=2)
    >>> cache = place.write(ops.zeros((1, 2, 3, 1)), ops.ones((1, 2, 1, 1)))
    >>> ops.convert_to_numpy(cache[0, 0, :, 0]).tolist()
    [0.0, 1.0, 0.0]
    """

    def __init__(self, index: Any, batch_size: Any, length: Any, size: Any, num_heads: int):
        self.visible = causal_attention_mask(length, size, index)
        row = ops.reshape(ops.arange(batch_size, dtype="int32"), (-1, 1, 1))
        head = ops.reshape(ops.arange(num_heads, dtype="int32"), (1, -1, 1))
        position = ops.reshape(ops.cast(index, "int32"), (-1, 1, 1))
        position = position + ops.arange(length, dtype="int32")
        shape = (batch_size, num_heads, length)
        indices = [ops.broadcast_to(i, shape) for i in (row, head, position)]
        self._indices = ops.reshape(ops.stack(indices, axis=-1), (-1, 3))  # (B H L, 3)

    def write(self, cache, update):
        """Puts `update` (B, H, L, d) into `cache` (B, H, M, d)."""
        update = ops.reshape(ops.cast(update, cache.dtype), (-1, update.shape[-1]))
        return ops.scatter_update(cache, self._indices, update)
