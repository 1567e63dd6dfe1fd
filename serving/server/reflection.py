"""gRPC reflection: a client such as grpcurl asks the server for its services and messages."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from .. import protos

_PACKAGE = "tensorflow.serving"
_SERVICES = {  # file: (service, method: (request, response))
    "prediction_service": (
        "PredictionService",
        {
            "Classify": (protos.ClassificationRequest, protos.ClassificationResponse),
            "Regress": (protos.RegressionRequest, protos.RegressionResponse),
            "Predict": (protos.PredictRequest, protos.PredictResponse),
            "MultiInference": (protos.MultiInferenceRequest, protos.MultiInferenceResponse),
            "GetModelMetadata": (
                protos.GetModelMetadataRequest,
                protos.GetModelMetadataResponse,
            ),
        },
    ),
    "model_service": (
        "ModelService",
        {
            "GetModelStatus": (protos.GetModelStatusRequest, protos.GetModelStatusResponse),
            "HandleReloadConfigRequest": (
                protos.ReloadConfigRequest,
                protos.ReloadConfigResponse,
            ),
        },
    ),
}


def add_reflection(server: grpc.aio.Server, health: bool) -> None:
    """Serves reflection over the services of this server.

    Args:
        server: not yet started.
        health: bool. Whether `grpc.health.v1.Health` is among the services.
    """
    # The wheel's own modules of the services were generated for a protobuf of long ago and do not
    # import with today's, so the services are declared here; in a pool of their own, which no
    # other library's declarations can contradict.
    pool = descriptor_pool.DescriptorPool()
    added: set[str] = set()
    names = []
    for file, (service, methods) in _SERVICES.items():
        declared = descriptor_pb2.FileDescriptorProto(
            name=f"tensorflow_serving/apis/{file}.proto", package=_PACKAGE, syntax="proto3"
        )
        made = declared.service.add(name=service)
        for method, messages in methods.items():
            request, response = (message.DESCRIPTOR for message in messages)
            for message in (request, response):
                _add(pool, message.file, added)
                if message.file.name not in declared.dependency:
                    declared.dependency.append(message.file.name)
            made.method.add(
                name=method,
                input_type=f".{request.full_name}",
                output_type=f".{response.full_name}",
            )
        pool.Add(declared)
        names.append(f"{_PACKAGE}.{service}")
    for module in (reflection_pb2, health_pb2):
        _add(pool, module.DESCRIPTOR, added)
    if health:
        names.append("grpc.health.v1.Health")
    reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server, pool=pool)


def _add(pool: descriptor_pool.DescriptorPool, file: Any, added: set[str]) -> None:
    """Copies a file, and what it depends on, into a pool."""
    if file.name in added:
        return
    added.add(file.name)
    for dependency in file.dependencies:
        _add(pool, dependency, added)
    declared = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(declared)
    pool.Add(declared)
