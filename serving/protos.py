"""TensorFlow Serving's protocol messages, in one place.

Their classes are made when their module is imported, so type checkers cannot see them: here they
become names of type Any.
"""

from __future__ import annotations

import importlib
from typing import Any


def _module(name: str) -> Any:
    return importlib.import_module(name)


_predict = _module("tensorflow_serving.apis.predict_pb2")
_metadata = _module("tensorflow_serving.apis.get_model_metadata_pb2")
_management = _module("tensorflow_serving.apis.model_management_pb2")
_config = _module("tensorflow_serving.config.model_server_config_pb2")
_status = _module("tensorflow_serving.apis.get_model_status_pb2")
_classification = _module("tensorflow_serving.apis.classification_pb2")
_regression = _module("tensorflow_serving.apis.regression_pb2")
_inference = _module("tensorflow_serving.apis.inference_pb2")

PredictRequest: Any = _predict.PredictRequest
PredictResponse: Any = _predict.PredictResponse
ClassificationRequest: Any = _classification.ClassificationRequest
ClassificationResponse: Any = _classification.ClassificationResponse
RegressionRequest: Any = _regression.RegressionRequest
RegressionResponse: Any = _regression.RegressionResponse
MultiInferenceRequest: Any = _inference.MultiInferenceRequest
MultiInferenceResponse: Any = _inference.MultiInferenceResponse
PredictionLog: Any = _module("tensorflow_serving.apis.prediction_log_pb2").PredictionLog
GetModelMetadataRequest: Any = _metadata.GetModelMetadataRequest
GetModelMetadataResponse: Any = _metadata.GetModelMetadataResponse
SignatureDefMap: Any = _metadata.SignatureDefMap
GetModelStatusRequest: Any = _status.GetModelStatusRequest
GetModelStatusResponse: Any = _status.GetModelStatusResponse
ModelSpec: Any = _module("tensorflow_serving.apis.model_pb2").ModelSpec
ReloadConfigRequest: Any = _management.ReloadConfigRequest
ReloadConfigResponse: Any = _management.ReloadConfigResponse
ModelServerConfig: Any = _config.ModelServerConfig
ModelConfig: Any = _config.ModelConfig
SavedModel: Any = _module("tensorflow.core.protobuf.saved_model_pb2").SavedModel
MetaGraphDef: Any = _module("tensorflow.core.protobuf.meta_graph_pb2").MetaGraphDef
TensorProto: Any = _module("tensorflow.core.framework.tensor_pb2").TensorProto
