"""MultiInference: several signatures that classify or regress, on the same tf.Examples in one run."""

from dataclasses import dataclass

import grpc
from tensorflow_serving.apis.inference_pb2 import MultiInferenceRequest, MultiInferenceResponse

from gannet_client.contract import SERVING_DEFAULT
from gannet_serving.callers import UNHURRIED, Caller
from gannet_serving.example_kinds import KINDS, Kind
from gannet_serving.examples import count_examples, run_examples
from gannet_serving.loaded import LoadedModel
from gannet_serving.options import ServerOptions
from gannet_serving.signatures import Signature
from gannet_serving.status import StatusError, invalid

_DEFAULTS = ServerOptions()


@dataclass(frozen=True)
class _Task:
    """One result that is asked for."""

    key: str
    signature: Signature
    kind: Kind
    feed: str
    fetches: list[str]


def run_multi_inference(
    session: LoadedModel,
    request: MultiInferenceRequest,
    options: ServerOptions = _DEFAULTS,
    call: Caller = UNHURRIED,
) -> MultiInferenceResponse:
    """Answers a request on one version; the caller fills in which version that was.

    Args:
        session: The version.
        request: The ModelSpecs of its tasks count as far as the signatures go.
        options: Tell how signatures are checked.
        call: On whose behalf.

    Raises:
        StatusError: A task is wrong or does not fit the others, or an op failed.
    """
    tasks = _tasks(session, request, options)
    fetches = sorted({name for task in tasks for name in task.fetches})
    arrays = run_examples(session, request.input, tasks[0].feed, fetches, call)
    count = count_examples(request.input)
    response = MultiInferenceResponse()
    for task in tasks:
        result = response.results.add()
        result.model_spec.name = request.tasks[0].model_spec.name
        result.model_spec.signature_name = task.key
        getattr(result, task.kind.result_field).CopyFrom(task.kind.result(task.signature, arrays, count))
    return response


def _tasks(session: LoadedModel, request: MultiInferenceRequest, options: ServerOptions) -> list[_Task]:
    tasks: list[_Task] = []
    for message in request.tasks:
        spec = message.model_spec
        if not spec.name:
            raise invalid("Found ModelSpec with an empty model name.")
        if spec.name != request.tasks[0].model_spec.name:
            raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        key = spec.signature_name or SERVING_DEFAULT
        if key in [task.key for task in tasks]:
            raise invalid(f"Duplicate evaluation of signature: {key}")
        if key not in session.signatures:
            raise invalid(f"Requested signature not found in model graph: {key}")
        tasks.append(_task(key, session.signatures[key], message.method_name, options))
        if tasks[-1].feed != tasks[0].feed:
            raise invalid("Input tensor must be the same for all Signatures.")
    return tasks


def _task(key: str, signature: Signature, method: str, options: ServerOptions) -> _Task:
    if method not in KINDS:
        raise StatusError(grpc.StatusCode.UNIMPLEMENTED, f"Unsupported signature method_name: {method}")
    feed, fetches = KINDS[method].tensors(signature, options)
    return _Task(key, signature, KINDS[method], feed, fetches)
