# TensorFlow 2.20's modules are filled at run time, its stubs name a part of them. As for Keras.
from typing import Any

def __getattr__(name: str) -> Any: ...
