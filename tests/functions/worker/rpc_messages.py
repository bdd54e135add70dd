"""The messages between Azure's host and its Python worker, as protobuf classes.

Names and types are those of Microsoft's public FunctionRpc.proto, as far as the worker's library
uses them. Field numbers are our own: no other program reads these messages.
"""

from types import SimpleNamespace
from typing import Any

from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)

_PACKAGE = "rpc"
_FIELD = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "string": _FIELD.TYPE_STRING,
    "bytes": _FIELD.TYPE_BYTES,
    "bool": _FIELD.TYPE_BOOL,
    "int": _FIELD.TYPE_SINT64,
    "double": _FIELD.TYPE_DOUBLE,
}
# Fields are "name:type", a leading * repeats one, and % makes it a map from strings.
# Those of a oneof stand in its entry of _ONEOFS.
_MESSAGES = {
    "RpcException": "message:string stack_trace:string",
    "StatusResult": "status:int exception:RpcException",
    "WorkerMetadata": "runtime_name:string runtime_version:string worker_version:string"
    " worker_bitness:string %custom_properties:string",
    "WorkerInitRequest": "host_version:string %capabilities:string function_app_directory:string",
    "WorkerInitResponse": "%capabilities:string worker_metadata:WorkerMetadata result:StatusResult",
    "FunctionEnvironmentReloadRequest": "%environment_variables:string"
    " function_app_directory:string",
    "FunctionEnvironmentReloadResponse": "%capabilities:string worker_metadata:WorkerMetadata"
    " result:StatusResult",
    "BindingInfo": "type:string data_type:int direction:int",
    "RpcRetryOptions": "max_retry_count:int",
    "RpcFunctionMetadata": "name:string function_id:string managed_dependency_enabled:bool"
    " directory:string script_file:string entry_point:string is_proxy:bool language:string"
    " %bindings:BindingInfo *raw_bindings:string retry_options:RpcRetryOptions"
    " %properties:string",
    "FunctionMetadataResponse": "use_default_metadata_indexing:bool result:StatusResult"
    " *function_metadata_results:RpcFunctionMetadata",
    "FunctionLoadRequest": "function_id:string",
    "FunctionLoadResponse": "function_id:string result:StatusResult",
    "RpcHttpCookie": "name:string value:string",
    "RpcHttp": "method:string url:string %headers:string body:TypedData %params:string"
    " status_code:string %query:string enable_content_negotiation:bool *cookies:RpcHttpCookie",
    "TypedData": "string:string json:string bytes:bytes http:RpcHttp int:int double:double",
    "ParameterBinding": "name:string data:TypedData",
    "TraceContext": "trace_parent:string trace_state:string %attributes:string",
    "RetryContext": "retry_count:int max_retry_count:int exception:RpcException",
    "InvocationRequest": "invocation_id:string function_id:string *input_data:ParameterBinding"
    " %trigger_metadata:TypedData trace_context:TraceContext retry_context:RetryContext",
    "InvocationResponse": "invocation_id:string *output_data:ParameterBinding"
    " return_value:TypedData result:StatusResult",
}
_ONEOFS = {
    "TypedData": ("data", {"string", "json", "bytes", "http", "int", "double"}),
    "ParameterBinding": ("rpc_data", {"data"}),
}
_CONSTANTS = {
    "StatusResult": {"Failure": 0, "Success": 1},
    "BindingInfo": {"undefined": 0, "out": 1, "inout": 2},
}


def make_messages() -> SimpleNamespace:
    """Return a class for each message. What the library names as a constant is one, too."""
    file = descriptor_pb2.FileDescriptorProto(name="rpc.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        _add_message(file.message_type.add(name=name), fields)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    classes = {name: _message_class(pool, name) for name in _MESSAGES}
    return SimpleNamespace(**{name: _with_constants(name, made) for name, made in classes.items()})


def _message_class(pool: Any, name: str) -> Any:
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


def _with_constants(name: str, made: Any) -> Any:
    """Return a constructor with the constants, which a generated class has by its enums."""
    if name not in _CONSTANTS:
        return made
    return type(name, (_Constructor,), {"made": made, **_CONSTANTS[name]})


class _Constructor:
    made: Any

    def __new__(cls, **values: Any) -> Any:
        return cls.made(**values)


def _add_message(message: Any, fields: str) -> None:
    oneof, choices = _ONEOFS.get(message.name, ("", set()))
    if oneof:
        message.oneof_decl.add(name=oneof)
    for number, text in enumerate(fields.split(), start=1):
        name, of = text.lstrip("*%").split(":")
        field = message.field.add(name=name, number=number, label=_FIELD.LABEL_OPTIONAL)
        if name in choices:
            field.oneof_index = 0
        if text[0] in "*%":
            field.label = _FIELD.LABEL_REPEATED
        if text[0] == "%":
            _set_type(field, _add_entry(message, name, of))
        else:
            _set_type(field, of)


def _add_entry(message: Any, name: str, of: str) -> str:
    """Add the type of a map's entries, and return its name."""
    entry = message.nested_type.add(name="".join(map(str.capitalize, name.split("_"))) + "Entry")
    entry.options.map_entry = True
    for number, (part, of_part) in enumerate((("key", "string"), ("value", of)), start=1):
        _set_type(entry.field.add(name=part, number=number, label=_FIELD.LABEL_OPTIONAL), of_part)
    return f"{message.name}.{entry.name}"


def _set_type(field: Any, name: str) -> None:
    if name in _TYPES:
        field.type = _TYPES[name]
    else:
        field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".{_PACKAGE}.{name}"
