"""onnxruntime and OpenVINO, which run the PyTorch networks exported as ONNX; inference only."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from .torch_networks import NETWORKS
from .workload import Batch

__all__ = ["step"]


def step(framework: str, variant: str, network: str, training: bool, batch: Batch) -> Callable[[], object]:
    """One prediction, in float32."""
    if training:
        raise SystemExit(f"{framework} does not train")
    data = batch.arrays()[0]
    if batch.integers:
        data = data.astype(np.int64)
    model = _exported(nn.Sequential(NETWORKS[network](), nn.Softmax(dim=-1)), data)
    return {"onnxruntime": _onnxruntime, "openvino": _openvino}[framework](model, data)


def _exported(module: nn.Module, data: np.ndarray) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), (torch.from_numpy(data),), file, input_names=["data"], dynamo=False)
    return file.getvalue()


def _threads() -> int:
    return int(os.environ["OMP_NUM_THREADS"])


def _onnxruntime(model: bytes, data: np.ndarray) -> Callable[[], object]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"data": data})


def _openvino(model: bytes, data: np.ndarray) -> Callable[[], object]:
    import openvino

    core = openvino.Core()
    # It would otherwise choose bfloat16 by itself where the CPU has it.
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": str(_threads()),
    }
    request = core.compile_model(core.read_model(io.BytesIO(model)), "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(data))
    return request.infer
