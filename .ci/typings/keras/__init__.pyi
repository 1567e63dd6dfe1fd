# Keras has no type annotations. What a checker infers instead is what one backend's (OpenVINO's)
# placeholder functions return: None, or one class for all. Here every name of it is of any type, so
# that the checker's findings are about Polysemy.
from typing import Any

def __getattr__(name: str) -> Any: ...
