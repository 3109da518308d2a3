"""The requests of each method."""

from typing import Any


def request_class(rpc: str) -> Any:
    from tensorflow_serving.apis import (
        classification_pb2,
        get_model_metadata_pb2,
        get_model_status_pb2,
        inference_pb2,
        model_management_pb2,
        predict_pb2,
        regression_pb2,
    )

    return {
        "Classify": classification_pb2.ClassificationRequest,
        "GetModelMetadata": get_model_metadata_pb2.GetModelMetadataRequest,
        "GetModelStatus": get_model_status_pb2.GetModelStatusRequest,
        "HandleReloadConfigRequest": model_management_pb2.ReloadConfigRequest,
        "MultiInference": inference_pb2.MultiInferenceRequest,
        "Predict": predict_pb2.PredictRequest,
        "Regress": regression_pb2.RegressionRequest,
    }[rpc]
