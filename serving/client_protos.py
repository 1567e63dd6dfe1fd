"""The protocol messages that the clients need, without TensorFlow.

The wheel tensorflow-serving-api has them all, but its modules import TensorFlow's, and `import
tensorflow` takes seconds and hundreds of megabytes. So the part of them that a client reads and
writes is declared here, with TensorFlow's own names and field numbers (a test compares them), in
a pool of its own: both may be imported in one process. Enums travel as int32, which is the same on
the wire; unknown fields are skipped.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

# Message: fields as "number type name"; "*" repeats, "map" is a map from string, "/" marks a oneof.
_CORE = {
    "TensorShapeProto.Dim": ["1 int64 size", "2 string name"],
    "TensorShapeProto": ["2 *TensorShapeProto.Dim dim", "3 bool unknown_rank"],
    "TensorProto": [
        "1 int32 dtype",
        "2 TensorShapeProto tensor_shape",
        "4 bytes tensor_content",
        "13 *int32 half_val",
        "5 *float float_val",
        "6 *double double_val",
        "7 *int32 int_val",
        "8 *bytes string_val",
        "9 *float scomplex_val",
        "10 *int64 int64_val",
        "11 *bool bool_val",
        "12 *double dcomplex_val",
        "16 *uint32 uint32_val",
        "17 *uint64 uint64_val",
    ],
    "TensorInfo": ["1 string name", "2 int32 dtype", "3 TensorShapeProto tensor_shape"],
    "SignatureDef": [
        "1 map TensorInfo inputs",
        "2 map TensorInfo outputs",
        "3 string method_name",
        "4 map TensorProto defaults",
    ],
    "MetaGraphDef.MetaInfoDef": ["4 *string tags", "5 string tensorflow_version"],
    "MetaGraphDef": [
        "1 MetaGraphDef.MetaInfoDef meta_info_def",
        "5 map SignatureDef signature_def",
    ],
    "SavedModel": ["1 int64 saved_model_schema_version", "2 *MetaGraphDef meta_graphs"],
}
_SERVING = {
    "ModelSpec": [
        "1 string name",
        "2 .google.protobuf.Int64Value version /version_choice",
        "4 string version_label /version_choice",
        "3 string signature_name",
    ],
    "PredictRequest": [
        "1 ModelSpec model_spec",
        "2 map .tensorflow.TensorProto inputs",
        "3 *string output_filter",
    ],
    "PredictResponse": ["2 ModelSpec model_spec", "1 map .tensorflow.TensorProto outputs"],
    "GetModelMetadataRequest": ["1 ModelSpec model_spec", "2 *string metadata_field"],
    "GetModelMetadataResponse": [
        "1 ModelSpec model_spec",
        "2 map .google.protobuf.Any metadata",
    ],
    "SignatureDefMap": ["1 map .tensorflow.SignatureDef signature_def"],
    "StatusProto": ["1 int32 error_code", "2 string error_message"],
    "ModelVersionStatus": ["1 int64 version", "2 int32 state", "3 StatusProto status"],
    "GetModelStatusRequest": ["1 ModelSpec model_spec"],
    "GetModelStatusResponse": ["1 *ModelVersionStatus model_version_status"],
}
_Field: Any = descriptor_pb2.FieldDescriptorProto


def _file(name: str, package: str, messages: dict[str, list[str]], imports: list[str]) -> Any:
    file: Any = descriptor_pb2.FileDescriptorProto(
        name=name, package=package, syntax="proto3", dependency=imports
    )
    made: dict[str, Any] = {}
    for path in sorted(messages, key=lambda path: path.count(".")):  # outer messages first
        outer, _, own = path.rpartition(".")
        siblings = made[outer].nested_type if outer else file.message_type
        made[path] = siblings.add(name=own)
        for field in messages[path]:
            _add_field(made[path], f".{package}.{path}", f".{package}.", field)
    return file


def _add_field(message: Any, path: str, package: str, text: str) -> None:
    number, *kind, name = text.split(" /")[0].split()
    field = message.field.add(name=name, number=int(number), label=_Field.LABEL_OPTIONAL)
    if kind[0] == "map":
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        for position, part in enumerate(("string key", f"{kind[1]} value"), start=1):
            _add_field(entry, "", package, f"{position} {part}")
        field.label, field.type = _Field.LABEL_REPEATED, _Field.TYPE_MESSAGE
        field.type_name = f"{path}.{entry.name}"
        return
    if kind[0].startswith("*"):
        field.label = _Field.LABEL_REPEATED
    kind[0] = kind[0].removeprefix("*")
    if kind[0] in ("string", "bytes", "bool", "int32", "int64", "uint32", "uint64", "float"):
        field.type = getattr(_Field, f"TYPE_{kind[0].upper()}")
    elif kind[0] == "double":
        field.type = _Field.TYPE_DOUBLE
    else:
        field.type = _Field.TYPE_MESSAGE
        field.type_name = kind[0] if kind[0].startswith(".") else package + kind[0]
    if " /" in text:
        if not message.oneof_decl:
            message.oneof_decl.add(name=text.split(" /")[1])
        field.oneof_index = 0


def _pool() -> Any:
    pool: Any = descriptor_pool.DescriptorPool()
    for known in (any_pb2, wrappers_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    pool.Add(_file("polysemy/tensorflow.proto", "tensorflow", _CORE, []))
    imports = [
        "polysemy/tensorflow.proto",
        any_pb2.DESCRIPTOR.name,
        wrappers_pb2.DESCRIPTOR.name,
    ]
    pool.Add(_file("polysemy/serving.proto", "tensorflow.serving", _SERVING, imports))
    return pool


_POOL = _pool()


def message_class(name: str) -> Any:
    """The class of one of the messages, by its full name.

    Example:
    >>> message_class("tensorflow.TensorInfo")(dtype=1).dtype
    1
    """
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(name))


MESSAGES = tuple(f"tensorflow.{name}" for name in _CORE) + tuple(
    f"tensorflow.serving.{name}" for name in _SERVING
)
TensorProto: Any = message_class("tensorflow.TensorProto")
SavedModel: Any = message_class("tensorflow.SavedModel")
ModelSpec: Any = message_class("tensorflow.serving.ModelSpec")
PredictRequest: Any = message_class("tensorflow.serving.PredictRequest")
PredictResponse: Any = message_class("tensorflow.serving.PredictResponse")
GetModelMetadataRequest: Any = message_class("tensorflow.serving.GetModelMetadataRequest")
GetModelMetadataResponse: Any = message_class("tensorflow.serving.GetModelMetadataResponse")
SignatureDefMap: Any = message_class("tensorflow.serving.SignatureDefMap")
GetModelStatusRequest: Any = message_class("tensorflow.serving.GetModelStatusRequest")
GetModelStatusResponse: Any = message_class("tensorflow.serving.GetModelStatusResponse")
