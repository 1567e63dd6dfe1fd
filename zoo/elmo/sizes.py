"""The sizes of the published biLMs, and one that trains on two cores.

Sizes: [AllenNLP's options files](https://allenai.org/allennlp/software/elmo); 93,600,848,
28,027,728 and 13,593,296 weights in the biLM.
"""

_PUBLISHED_FILTERS = ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024))

ELMO_SIZES = {
    "original": {
        "filters": _PUBLISHED_FILTERS,
        "num_highway_layers": 2,
        "hidden_dim": 4096,
        "projection_dim": 512,
    },
    "medium": {
        "filters": _PUBLISHED_FILTERS,
        "num_highway_layers": 1,
        "hidden_dim": 2048,
        "projection_dim": 256,
    },
    "small": {
        "filters": _PUBLISHED_FILTERS,
        "num_highway_layers": 1,
        "hidden_dim": 1024,
        "projection_dim": 128,
    },
    "tiny": {
        "filters": ((1, 16), (2, 16), (3, 32), (4, 64), (5, 128)),
        "num_highway_layers": 1,
        "hidden_dim": 384,
        "projection_dim": 96,
    },
}
