"""Pre-trains the tiny ELMo biLM on WikiText-2.

    polysemy run elmo_lm_wikitext2 train evaluate export --set data.root=DATA

Batches of 64 rows x 20 steps, the paper's unroll: about 1,635 steps a pass, 8 passes. The
paper's figure is for another corpus and a model sixty times larger (One Billion Word, 93.6M
weights, vocabulary 793,471): it tells the scale, no more. Data: 2,051,910 tokens of Wikipedia,
vocabulary 33,278.
"""

from ..config import DataConfig, Experiment, TrainerConfig
from ..tasks.language_modeling import LanguageModeling

experiment = Experiment(
    name="elmo_lm_wikitext2",
    description="biLM pre-training on WikiText-2, tiny size; made the preset elmo_tiny_en",
    task=LanguageModeling(corpus="wikitext2", size="tiny"),
    data=DataConfig(name="WikiText-2"),
    trainer=TrainerConfig(
        steps=13_080,
        steps_per_epoch=3_270,
        optimizer="adam",
        learning_rate=2e-3,
        schedule="linear",
        warmup_steps=200,
        gradient_clip_norm=5.0,
    ),
    seeds=(1,),
    paper="39.7 perplexity (average of both directions, One Billion Word, original size)",
)
