"""What this installation can do, under the names that MXNet gave to the options of its build."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

import torch

from .onednn.library import available

__all__ = ["Feature", "Features", "feature_list"]


class Feature(NamedTuple):
    """One thing that is there or not."""

    name: str
    enabled: bool

    def __repr__(self) -> str:
        return f"{'✔' if self.enabled else '✖'} {self.name}"


def feature_list() -> list[Feature]:
    """All features that have a name. What names a library or service that is never used is never enabled."""
    capability = torch.backends.cpu.get_cpu_capability()
    avx2 = capability.startswith("AVX")
    cuda = torch.backends.cuda.is_built()
    found = {
        "CUDA": cuda,
        "CUDNN": cuda and torch.backends.cudnn.is_available(),
        "CPU_AVX": avx2,
        "CPU_AVX2": avx2,
        "F16C": avx2,
        "OPENMP": torch.backends.openmp.is_available(),
        "BLAS_MKL": torch.backends.mkl.is_available(),
        "LAPACK": torch._C.has_lapack,
        "MKLDNN": available(),
        "OPENCV": find_spec("cv2") is not None,
        "PROFILER": True,
        "INT64_TENSOR_SIZE": True,
    }
    absent = (
        "NCCL", "CUDA_RTC", "TENSORRT", "CPU_SSE", "CPU_SSE2", "CPU_SSE3", "CPU_SSE4_1", "CPU_SSE4_2", "CPU_SSE4A",
        "SSE", "JEMALLOC", "BLAS_OPEN", "BLAS_ATLAS", "BLAS_APPLE", "CAFFE", "DIST_KVSTORE", "CXX14",
        "SIGNAL_HANDLER", "DEBUG", "TVM_OP",
    )  # fmt: skip
    return [Feature(name, enabled) for name, enabled in (found | dict.fromkeys(absent, False)).items()]


class Features(dict[str, Feature]):
    """The features by name."""

    def __init__(self) -> None:
        super().__init__((feature.name, feature) for feature in feature_list())

    def is_enabled(self, feature_name: str) -> bool:
        """Whether a feature is there; its name may be in any case. RuntimeError for an unknown name."""
        name = feature_name.upper()
        if name not in self:
            raise RuntimeError(f"Feature {name!r} is unknown, known features are: {list(self)}")
        return self[name].enabled

    def __repr__(self) -> str:
        return str(list(self.values()))
