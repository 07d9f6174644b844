"""The operators that optimizers are made of: they are called with arrays and change some of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["UPDATES", "Update", "perform"]


@dataclass(frozen=True)
class Update:
    """A call of ``mx.nd.<op>`` with ``arrays`` arrays like the weight (the last ``masters`` in single precision).

    ``out`` are the arrays that receive the results, as Python optimizers give them.
    """

    op: str
    arrays: int
    params: dict[str, Any]
    dtype: str = "float32"
    masters: int = 0
    out: tuple[int, ...] = ()


_PLAIN = {"lr": 0.1}
_FULL = {"lr": 0.1, "wd": 0.01, "rescale_grad": 0.5, "clip_gradient": 0.3}
_LAMB = {"beta1": 0.9, "beta2": 0.99, "epsilon": 1e-6, "t": 3, "wd": 0.01}

UPDATES: list[Update] = [
    *(
        Update(op, arrays, {**params, **more})
        for op, arrays, more in [
            ("sgd_update", 2, {}),
            ("sgd_mom_update", 3, {"momentum": 0.9}),
            ("nag_mom_update", 3, {"momentum": 0.9}),
            ("adam_update", 4, {}),
            ("rmsprop_update", 3, {"gamma1": 0.9}),
            ("rmspropalex_update", 5, {"gamma1": 0.9, "gamma2": 0.8}),
            ("ftrl_update", 4, {"lamda1": 0.1}),
            ("signsgd_update", 2, {}),
            ("signum_update", 3, {"momentum": 0.9, "wd_lh": 0.05}),
        ]
        for params in (_PLAIN, _FULL)
    ),
    Update("ftml_update", 5, {"lr": 0.1, "t": 3}),
    Update("lamb_update_phase1", 4, _LAMB),
    Update("mp_sgd_update", 3, _FULL, "float16", masters=1),
    Update("mp_sgd_mom_update", 4, {**_FULL, "momentum": 0.9}, "float16", masters=2),
    Update("multi_sgd_update", 4, {"lrs": (0.1, 0.2), "wds": (0.01, 0), "num_weights": 2}, out=(0, 2)),
    Update(
        "multi_sgd_mom_update", 6, {"lrs": (0.1, 0.2), "wds": (0.01, 0), "momentum": 0.9, "num_weights": 2}, out=(0, 3)
    ),
    Update("all_finite", 1, {}),
]


def perform(mx: Any, update: Update) -> dict[str, list[np.ndarray]]:
    """The results of the call, and all its arrays afterwards."""
    arrays = []
    for position in range(update.arrays):
        # Weights and gradients have either sign, running averages of squares have not.
        low = -1 if position < 2 else 0.1
        numbers = np.random.RandomState(position).uniform(low, 1, size=(2, 3)).round(3)
        single = position >= update.arrays - update.masters
        arrays.append(mx.nd.array(numbers, dtype="float32" if single else update.dtype))
    out = {"out": [arrays[position] for position in update.out]} if update.out else {}
    results = getattr(mx.nd, update.op)(*arrays, **update.params, **out)
    results = results if isinstance(results, (list, tuple)) else [results]
    return {
        "results": [array.asnumpy() for array in results],
        "arrays": [array.asnumpy() for array in arrays],
    }
