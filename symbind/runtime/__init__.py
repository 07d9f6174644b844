"""How a bound graph runs: memory is taken, kernels are chosen, and a step is a list of ready calls."""

from .features import Feature, Features, feature_list
