"""Pre-trains a small BERT on WikiText-2: masked words and next sentences.

    polysemy run bert_pretrain_wikitext2 train evaluate export --set data.root=DATA \
        --variant default

4 layers x 256 (the size "mini"), rows of 128 pieces, batches of 32. The vocabulary of 8,000
pieces is learned from the training text: 2,000,000 words are too few to train the 30,522 vectors
of the published one, of which most would never be seen. The paper trained 40 passes over
3,300,000,000 words with batches of 256 x 512; its perplexities are of masked words of that text.

"short" is a fifth of the steps. "phase_2" goes on from "default" with rows of 512, as the paper
does for the last tenth of its steps: export "default" before, or in the same command. "rate_40"
hides 40 % as [Wettig et al., 2023](https://arxiv.org/abs/2202.08005) advise, without next sentences
and dropout: more targets a step, for short trainings; "rate_40_long" is three times as long. The
others are ablations, each of which `bert_ablations` runs smaller and side by side.
"""

from ..config import DataConfig, Experiment
from ..run_presets import preset_of
from ..tasks.masked_lm import MaskedLanguageModeling
from ._bert import adamw

_RATE_40 = {"task.rate": 0.4, "task.next_sentence": False, "task.dropout": 0.0}

experiment = Experiment(
    name="bert_pretrain_wikitext2",
    description="BERT pre-training on WikiText-2, 4 layers x 256, own vocabulary of 8,000 pieces",
    task=MaskedLanguageModeling(corpus="wikitext2", size="mini"),
    data=DataConfig(name="WikiText-2"),
    trainer=adamw(
        steps=3_000,
        steps_per_epoch=500,
        learning_rate=1e-3,
        warmup_steps=300,
        mixed_precision="mixed_bfloat16",
    ),
    seeds=(1,),
    variants={
        "default": {},
        "short": {
            "trainer.steps": 600,
            "trainer.steps_per_epoch": 300,
            "trainer.warmup_steps": 60,
        },
        "phase_2": {
            "task.preset": preset_of("bert_pretrain_wikitext2"),
            "task.sequence_length": 512,
            "task.batch_size": 8,
            "trainer.steps": 300,
            "trainer.steps_per_epoch": 150,
            "trainer.learning_rate": 2e-4,
            "trainer.warmup_steps": 30,
        },
        "no_next_sentence": {"task.next_sentence": False},
        "left_to_right": {"task.next_sentence": False, "task.objective": "left_to_right"},
        "whole_words": {"task.whole_words": True},
        "rate_40": _RATE_40,
        "rate_40_long": {**_RATE_40, "trainer.steps": 9_000, "trainer.steps_per_epoch": 1_000},
    },
    paper="3.99 perplexity of masked words, recalled (Base, its own pre-training text)",
)
