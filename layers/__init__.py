"""Reusable Keras layers: no vocabulary, no file, no task. See README.md for the catalogue."""

from .bidirectional_lm import BidirectionalLM
from .cache_place import CachePlace
from .character_cnn import CharacterCNN
from .crf import CRF
from .crf_constraints import crf_constraints
from .crf_loss import CRFLoss
from .distinct_rows import DistinctRows
from .feed_forward import FeedForward
from .gather_words import GatherWords
from .highway import Highway
from .layer_norm import LayerNorm
from .lm_head import LMHead
from .log_uniform_sampler import LogUniformSampler
from .masked_lm_head import MaskedLMHead
from .masks import causal_attention_mask, combine_masks, padding_attention_mask
from .multi_head_attention import MultiHeadAttention
from .next_sentence_head import NextSentenceHead
from .position_embedding import PositionEmbedding
from .projected_lstm import ProjectedLSTM
from .scalar_mix import ScalarMix
from .sentence_boundaries import SentenceBoundaries
from .sinusoidal_position import SinusoidalPosition
from .take_rows import TakeRows
from .token_segment_position_embedding import TokenSegmentPositionEmbedding
from .transformer_block import TransformerBlock

__all__ = [
    "BidirectionalLM",
    "CRF",
    "CRFLoss",
    "CachePlace",
    "CharacterCNN",
    "DistinctRows",
    "FeedForward",
    "GatherWords",
    "Highway",
    "LMHead",
    "LayerNorm",
    "LogUniformSampler",
    "MaskedLMHead",
    "MultiHeadAttention",
    "NextSentenceHead",
    "PositionEmbedding",
    "ProjectedLSTM",
    "ScalarMix",
    "SentenceBoundaries",
    "SinusoidalPosition",
    "TakeRows",
    "TokenSegmentPositionEmbedding",
    "TransformerBlock",
    "causal_attention_mask",
    "combine_masks",
    "crf_constraints",
    "padding_attention_mask",
]
