"""Text out of any model that predicts the next token: greedily, by chance, or by beam search.

A model takes part by two methods, and reads them in TensorFlow's graph:

- `init_cache(batch_size, length)` makes what is kept between steps, a nest of tensors whose first
  axis is the row. A model with an encoder also takes the encoder's inputs, as `inputs=`, and keeps
  in it what its decoder reads of them.
- `step(token_ids, cache, index, lengths=None)` reads (B, L) tokens that begin at position `index`
  () or (B,) of each row, and returns the logits (B, V) of what follows each row's last one, at
  `lengths` (B,) or L, and the cache. What stands behind a row's length is padding.
"""

from .generator import Generator, generate
from .sampling import Sampling

__all__ = ["Generator", "Sampling", "generate"]
