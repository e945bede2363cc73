"""The server's messages that tensorflow-serving-api leaves out, made of their fields' names.

BatchingParameters of session_bundle_config.proto, MonitoringConfig of monitoring_config.proto.
"""

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)

_FIELD = descriptor_pb2.FieldDescriptorProto
_INT64_VALUE = wrappers_pb2.Int64Value.DESCRIPTOR
_MESSAGES = {
    "BatchingParameters": {
        "max_batch_size": _INT64_VALUE.full_name,
        "batch_timeout_micros": _INT64_VALUE.full_name,
        "max_enqueued_batches": _INT64_VALUE.full_name,
        "num_batch_threads": _INT64_VALUE.full_name,
        "thread_pool_name": wrappers_pb2.StringValue.DESCRIPTOR.full_name,
        "allowed_batch_sizes": [_FIELD.TYPE_INT64],  # repeated
        "pad_variable_length_inputs": _FIELD.TYPE_BOOL,
    },
    "PrometheusConfig": {"enable": _FIELD.TYPE_BOOL, "path": _FIELD.TYPE_STRING},
    "MonitoringConfig": {"prometheus_config": "server.PrometheusConfig"},
}


def parse(name, text):
    """Reads text as a message of this name; raises text_format.ParseError for unknown fields."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(_INT64_VALUE.file.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(
        name="server.proto", package="server", syntax="proto3", dependency=[_INT64_VALUE.file.name]
    )
    for message, fields in _MESSAGES.items():
        added = file.message_type.add(name=message)
        for number, (field, kind) in enumerate(fields.items(), 1):
            repeated = isinstance(kind, list)
            label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            new = added.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                new.type, new.type_name = _FIELD.TYPE_MESSAGE, f".{kind}"
            else:
                new.type = kind[0] if repeated else kind
    pool.Add(file)
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"server.{name}"))
    return text_format.Parse(text, kind())
