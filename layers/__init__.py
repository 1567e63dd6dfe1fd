"""Reusable Keras layers: no vocabulary, no file, no task. See README.md for the catalogue."""

from .bidirectional_lm import BidirectionalLM
from .character_cnn import CharacterCNN
from .crf import CRF
from .crf_constraints import crf_constraints
from .crf_loss import CRFLoss
from .distinct_rows import DistinctRows
from .gather_words import GatherWords
from .highway import Highway
from .lm_head import LMHead
from .log_uniform_sampler import LogUniformSampler
from .projected_lstm import ProjectedLSTM
from .scalar_mix import ScalarMix
from .sentence_boundaries import SentenceBoundaries
from .take_rows import TakeRows

__all__ = [
    "BidirectionalLM",
    "CRF",
    "CRFLoss",
    "CharacterCNN",
    "DistinctRows",
    "GatherWords",
    "Highway",
    "LMHead",
    "LogUniformSampler",
    "ProjectedLSTM",
    "ScalarMix",
    "SentenceBoundaries",
    "TakeRows",
    "crf_constraints",
]
