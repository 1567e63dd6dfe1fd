"""The lecture's ablations of BERT's pre-training, small and side by side.

    polysemy run bert_ablations train evaluate export --set data.root=DATA

2 layers x 128 (the size "tiny") unless the name says otherwise, rows of 64 pieces of WikiText-2,
the same number of steps for each. With and without next sentences; left to right; how many tokens
are hidden, and by what; layers and width. Perplexities compare where the same tokens are guessed:
not across rates, and not left to right with masked. `bert_ablations_sst2` fine-tunes each of
them.
"""

from ..config import DataConfig, Experiment
from ..tasks.masked_lm import MaskedLanguageModeling
from ._bert import adamw

_ALONE = {"task.next_sentence": False}

experiment = Experiment(
    name="bert_ablations",
    description="pre-training ablations: NSP, left to right, masking, layers, width",
    task=MaskedLanguageModeling(corpus="wikitext2", size="tiny", sequence_length=64, batch_size=64),
    data=DataConfig(name="WikiText-2"),
    trainer=adamw(steps=400, steps_per_epoch=200, learning_rate=2e-3, warmup_steps=40),
    seeds=(1,),
    variants={
        "default": {},
        "no_next_sentence": _ALONE,
        "left_to_right": {**_ALONE, "task.objective": "left_to_right"},
        "whole_words": {"task.whole_words": True},
        "mask_100_same_0_random_0": {"task.mask_rate": 1.0, "task.random_rate": 0.0},
        "mask_80_same_0_random_20": {"task.mask_rate": 0.8, "task.random_rate": 0.2},
        "mask_80_same_20_random_0": {"task.mask_rate": 0.8, "task.random_rate": 0.0},
        "mask_0_same_20_random_80": {"task.mask_rate": 0.0, "task.random_rate": 0.8},
        "mask_0_same_0_random_100": {"task.mask_rate": 0.0, "task.random_rate": 1.0},
        "rate_5": {"task.rate": 0.05},
        "rate_30": {"task.rate": 0.3},
        "layers_1": {"task.model": {"num_layers": 1}},
        "layers_4": {"task.model": {"num_layers": 4}},
        "width_64": {"task.model": {"hidden_dim": 64, "intermediate_dim": 256, "num_heads": 2}},
        "width_256": {"task.model": {"hidden_dim": 256, "intermediate_dim": 1024, "num_heads": 4}},
    },
    paper="3.99 perplexity of masked words (12 layers), 5.84 (3 layers), recalled",
)
