"""Fine-tunes the shipped GPT-2 on the text of the shipped sample.

    polysemy run sample_gpt2 train evaluate export

5,936 words of training, in rows of 128 tokens. Needs no data beside the package.
"""

from ..config import DataConfig, Experiment
from ..tasks.causal_lm import CausalLanguageModeling
from ._bert import adamw

experiment = Experiment(
    name="sample_gpt2",
    description="GPT-2 fine-tuning on the text of the shipped sample",
    task=CausalLanguageModeling(
        corpus="sample_text",
        preset="gpt2_wikitext2_en",
        batch_size=8,
        prompts=("The captain", "She saw"),
    ),
    data=DataConfig(name="sample"),
    trainer=adamw(epochs=4, learning_rate=5e-4, warmup_steps=4),
    seeds=(1,),
)
