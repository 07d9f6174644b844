"""Evaluation metrics: numbers that say how well predictions match labels."""

from .classification import F1, MCC, PCC, Accuracy, TopKAccuracy
from .custom import Caffe, CustomMetric, Loss, Torch, np
from .metric import CompositeEvalMetric, EvalMetric, alias, check_label_shapes, create, register
from .probability import CrossEntropy, NegativeLogLikelihood, Perplexity
from .regression import MAE, MSE, RMSE, PearsonCorrelation

__all__ = [
    "F1",
    "MAE",
    "MCC",
    "MSE",
    "PCC",
    "RMSE",
    "Accuracy",
    "Caffe",
    "CompositeEvalMetric",
    "CrossEntropy",
    "CustomMetric",
    "EvalMetric",
    "Loss",
    "NegativeLogLikelihood",
    "PearsonCorrelation",
    "Perplexity",
    "TopKAccuracy",
    "Torch",
    "alias",
    "check_label_shapes",
    "create",
    "np",
    "register",
]
