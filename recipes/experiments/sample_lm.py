"""Fine-tunes the shipped biLM on the text of the shipped sample: the demo's first step.

    polysemy run sample_lm train evaluate export

5,936 words of training. Full softmax: the text is small enough. Needs no data beside the
package.
"""

from ..config import DataConfig, Experiment, TrainerConfig
from ..tasks.language_modeling import LanguageModeling

experiment = Experiment(
    name="sample_lm",
    description="biLM fine-tuning on the text of the shipped sample",
    task=LanguageModeling(
        corpus="sample_text",
        preset="elmo_tiny_en",
        batch_size=16,
        num_sampled=None,
        dropout=0.3,
    ),
    data=DataConfig(name="sample"),
    trainer=TrainerConfig(epochs=3, learning_rate=1e-3, gradient_clip_norm=5.0),
    seeds=(1,),
    paper="103.2 to 46.3, recalled: one epoch (CoNLL-2003 training text, original size)",
)
