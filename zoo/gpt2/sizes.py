"""The sizes of GPT-2, and GPT as one more configuration of the same graph.

GPT-2's by their parameters: 124,439,808, 354,823,168, 774,030,080 and 1,557,611,200; GPT's are
116,534,784. "tiny" trains on two cores; its vocabulary is whatever it is given.
"""

_GPT2 = {"norm": "pre", "vocabulary_size": 50257, "max_length": 1024}

GPT2_SIZES = {
    "small": {**_GPT2, "num_layers": 12, "hidden_dim": 768, "num_heads": 12},
    "medium": {**_GPT2, "num_layers": 24, "hidden_dim": 1024, "num_heads": 16},
    "large": {**_GPT2, "num_layers": 36, "hidden_dim": 1280, "num_heads": 20},
    "xl": {**_GPT2, "num_layers": 48, "hidden_dim": 1600, "num_heads": 25},
    "tiny": {**_GPT2, "num_layers": 4, "hidden_dim": 128, "num_heads": 4, "max_length": 256},
    "gpt1": {
        "norm": "post",
        "vocabulary_size": 40478,
        "max_length": 512,
        "num_layers": 12,
        "hidden_dim": 768,
        "num_heads": 12,
    },
}
