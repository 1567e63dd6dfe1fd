"""The last part of every model that tags words: softmax or CRF, and the loss of either."""

from keras import ops

from ...layers.crf import CRF
from ...layers.crf_constraints import crf_constraints
from ..id_check import checked_ids
from ..mean_loss import mean_loss


def new_crf(tags, head, scheme):
    """The CRF upon the scores of `tags`, or None for the head "softmax".

    Args:
        tags: list of str. head: "softmax" or "crf".
        scheme: "BIO", "BIOES" or None. Tag scheme whose rules the CRF keeps.

    Raises:
        ValueError: a scheme without a CRF.
    """
    if head == "crf":
        constraints = crf_constraints(tags, scheme)
        return CRF(len(tags), constraints=constraints, dtype="float32", name="crf")
    if scheme is not None:
        raise ValueError(
            "`scheme` must be None without a CRF, which alone keeps its rules. "
            f"Received: head={head!r}, scheme={scheme!r}"
        )
    return None


def tag_outputs(logits, mask, crf):
    """A tagger's outputs.

    Args:
        logits: (B, L, T) float32. mask: (B, L) bool, True at words. crf: `CRF` or None.

    Returns:
        dict of `logits`; `tag_ids` (B, L) int32, the best tags, with a CRF the best allowed path;
        `probabilities` (B, L, T) float32, softmax or the CRF's marginals.
    """
    if crf is None:
        probabilities = ops.softmax(logits)
        tag_ids = ops.cast(ops.argmax(logits, axis=-1), "int32")
    else:
        decoded = crf(logits, padding_mask=mask)
        probabilities, tag_ids = decoded["probabilities"], decoded["tag_ids"]
    return {"logits": logits, "tag_ids": tag_ids, "probabilities": probabilities}


def tag_loss(y, logits, mask, crf, sample_weight=None):
    """The negative log-likelihood of tag ids: its mean over sentences with a CRF, else over words.

    Args:
        y: (B, L) int. Whatever stands at padding counts nothing.
        logits, mask, crf: as of `tag_outputs`.
        sample_weight: (B,), or without a CRF (B, L). See `mean_loss`.

    Returns:
        scalar float32, in nats.

    Raises:
        ValueError: `y` has another shape than the words.
        tf.errors.InvalidArgumentError: an id at a word is no tag's; see `checked_ids`.
    """
    mask = ops.cast(mask, "bool")
    y = checked_ids(y, logits.shape[-1], "tags", mask)
    if crf is not None:
        each = -crf.log_likelihood(logits, y, padding_mask=mask)
        return mean_loss(each, sample_weight=sample_weight)
    y = ops.where(mask, ops.cast(y, "int32"), 0)  # at padding, too, it must be a tag
    each = ops.sparse_categorical_crossentropy(y, logits, from_logits=True)
    return mean_loss(each, mask, sample_weight)
