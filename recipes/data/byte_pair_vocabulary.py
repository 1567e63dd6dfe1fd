"""Merges of a byte-level BPE learned from the training text."""

import json
from collections.abc import Iterable


def learn_byte_pairs(texts: Iterable[str], num_merges: int) -> list[str]:
    """Learns the merges of GPT-2's byte-level BPE, best first.

    Texts are split as GPT-2 splits them, into words with their leading space, digits, other symbols
    and white space; then the pair of neighbors that is seen most is joined, again and again.

    Args:
        texts: the training text, such as its lines with their ends.
        num_merges: int. How many are learned.

    Returns:
        list of str: "left right", for `vocabulary_of_merges` and `BytePair`; the same from the same
        texts in any order.

    Raises:
        ValueError: the texts have fewer pairs to join.

    Example:
    >>> learn_byte_pairs(["low lower lowest"] * 20, num_merges=3)
    ['l o', 'lo w', 'Ġ low']

    Reference: [Sennrich et al., 2016](https://arxiv.org/abs/1508.07909), algorithm 1;
    [Radford et al., 2019](https://openai.com/index/better-language-models/), section 2.2; as in the
    library `tokenizers`.
    """
    # Not above: only a learner needs it.
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + num_merges, initial_alphabet=alphabet, show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    merges = [" ".join(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    if len(merges) < num_merges:
        raise ValueError(
            f"`num_merges` must be at most as many as `texts` have pairs to join. Received: "
            f"num_merges={num_merges}, where the texts have {len(merges)}"
        )
    return merges
