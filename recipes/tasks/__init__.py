"""Tasks: what an experiment learns. Each module has one task, and its configuration."""

from .task import Task

__all__ = ["Task"]
