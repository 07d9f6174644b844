"""What an installation says of itself."""

from __future__ import annotations

import pytest
import torch

import symbind as mx
from symbind.runtime.engines import engine_for


def test_features_are_those_of_the_libraries():
    features = mx.runtime.Features()
    assert features.is_enabled("CUDA") == (torch.version.cuda is not None)
    assert features.is_enabled("mkldnn") == ("OneDnn" in type(engine_for(torch.device("cpu"))).__name__)
    assert [feature.name for feature in mx.runtime.feature_list()] == list(features)
    assert repr(features["INT64_TENSOR_SIZE"]) == "✔ INT64_TENSOR_SIZE"


def test_unknown_feature():
    with pytest.raises(RuntimeError, match="Feature 'WINGS' is unknown, known features are: .*CUDA"):
        mx.runtime.Features().is_enabled("wings")
