"""The sizes of the published BERTs.

Sizes: [Devlin et al., 2018](https://arxiv.org/abs/1810.04805) and, of the compact ones,
[Turc et al., 2019](https://arxiv.org/abs/1908.08962). Weights with the uncased vocabulary of
30,522 pieces: 4,385,920, 11,170,560, 28,763,648, 41,373,184, 109,482,240 and 335,141,888.
"""


def _size(num_layers, hidden_dim):
    return {
        "num_layers": num_layers,
        "num_heads": hidden_dim // 64,
        "hidden_dim": hidden_dim,
        "intermediate_dim": 4 * hidden_dim,
    }


BERT_SIZES = {
    "tiny": _size(2, 128),
    "mini": _size(4, 256),
    "small": _size(4, 512),
    "medium": _size(8, 512),
    "base": _size(12, 768),
    "large": _size(24, 1024),
}
