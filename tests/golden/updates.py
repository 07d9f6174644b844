"""The operators that optimizers are made of: they are called with arrays and change some of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["UPDATES", "Update", "find", "perform"]


@dataclass(frozen=True)
class Update:
    """A call of ``mx.nd.<op>`` with ``arrays`` arrays like the weight.

    ``shapes`` are those of arrays that differ, by position; those in ``single`` are in single precision whatever the
    weight is, those in ``ones`` hold ones. ``out`` are the arrays that receive the results, as Python optimizers
    give them.
    """

    op: str
    arrays: int
    params: dict[str, Any]
    dtype: str = "float32"
    single: tuple[int, ...] = ()
    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    ones: tuple[int, ...] = ()
    out: tuple[int, ...] = ()


_PLAIN = {"lr": 0.1}
_FULL = {"lr": 0.1, "wd": 0.01, "rescale_grad": 0.5, "clip_gradient": 0.3}
_DECAYED = {"lr": 0.1, "wd": 0.01}
_SHARED = {"rescale_grad": 0.5, "clip_gradient": 0.3}
_MANY = {"lrs": (0.1, 0.2), "wds": (0.01, 0), "num_weights": 2}
_MANY_LAMB = {"learning_rates": (0.1, 0.2), "wds": (0.01, 0), "step_count": (3, 2), "num_tensors": 2}
_LAMB = {"beta1": 0.9, "beta2": 0.99, "epsilon": 1e-6, "t": 3, "wd": 0.01}

# Left out is what MXNet does only to its own users: the gradient that the operators of AdamW overwrite when they
# rescale or clip it; mp_lamb_update_phase2, which never writes the weight in single precision that it goes on from; and
# norms of half-precision arrays, which MXNet squares in half precision (in _multi_mp_lamb_update).
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
    *(
        Update(op, arrays, {**_FULL, **more}, out=(0,))
        for op, arrays, more in [
            ("sgd_mom_update", 3, {"momentum": 0.9}),
            ("nag_mom_update", 3, {"momentum": 0.9}),
            ("adam_update", 4, {}),
        ]
    ),
    Update("rmsprop_update", 3, {**_FULL, "clip_weights": 0.4}),
    Update("rmspropalex_update", 5, {**_FULL, "clip_weights": 0.4}),
    Update("ftml_update", 5, {"lr": 0.1, "t": 3}),
    Update("ftml_update", 5, {"lr": 0.1, "t": 1, "wd": 0.01, "rescale_grad": 0.5, "clip_grad": 0.3}),
    Update("lamb_update_phase1", 4, _LAMB),
    Update("lamb_update_phase1", 4, {**_LAMB, "bias_correction": False, "rescale_grad": 0.5, "clip_gradient": 0.3}),
    *(
        Update("lamb_update_phase2", 4, {"lr": 0.1, **bounds}, shapes={2: (1,), 3: (1,)})
        for bounds in ({}, {"lower_bound": 0.9}, {"upper_bound": 0.2})
    ),
    Update("mp_sgd_update", 3, _FULL, "float16", single=(2,)),
    Update("mp_sgd_mom_update", 4, {**_FULL, "momentum": 0.9}, "float16", single=(2, 3)),
    Update("mp_nag_mom_update", 4, {**_FULL, "momentum": 0.9}, "float16", single=(2, 3)),
    Update("mp_lamb_update_phase1", 5, _LAMB, "float16", single=(2, 3, 4)),
    *(Update("_adamw_update", 5, {**params, "eta": 0.7}, shapes={4: (1,)}, ones=(4,)) for params in (_PLAIN, _DECAYED)),
    Update(
        "_mp_adamw_update", 6, {**_DECAYED, "eta": 0.7}, "float16", single=(2, 3, 4, 5), shapes={5: (1,)}, ones=(5,)
    ),
    Update("multi_sgd_update", 4, {**_MANY, **_SHARED}, out=(0, 2)),
    Update("multi_sgd_mom_update", 6, {**_MANY, **_SHARED, "momentum": 0.9}, out=(0, 3)),
    Update("multi_mp_sgd_update", 6, _MANY, "float16", single=(2, 5), out=(0, 3)),
    Update("multi_mp_sgd_mom_update", 8, {**_MANY, "momentum": 0.9}, "float16", single=(2, 3, 6, 7), out=(0, 4)),
    Update("preloaded_multi_sgd_update", 6, {"num_weights": 2}, shapes={4: (2,), 5: (2,)}, out=(0, 2)),
    Update(
        "preloaded_multi_sgd_mom_update",
        8,
        {"num_weights": 2, "momentum": 0.9, **_SHARED},
        shapes={6: (2,), 7: (2,)},
        out=(0, 3),
    ),
    Update(
        "preloaded_multi_mp_sgd_update",
        8,
        {"num_weights": 2},
        "float16",
        single=(2, 5, 6, 7),
        shapes={6: (2,), 7: (2,)},
        out=(0, 3),
    ),
    Update(
        "preloaded_multi_mp_sgd_mom_update",
        10,
        {"num_weights": 2, "momentum": 0.9},
        "float16",
        single=(2, 3, 6, 7, 8, 9),
        shapes={8: (2,), 9: (2,)},
        out=(0, 4),
    ),
    Update(
        "_multi_adamw_update",
        9,
        {**_MANY, "etas": (0.7, 0.9)},
        shapes={8: (1,)},
        ones=(8,),
        out=(0, 4),
    ),
    Update(
        "_multi_mp_adamw_update",
        11,
        {**_MANY, "etas": (0.7, 0.9)},
        "float16",
        single=(2, 3, 4, 7, 8, 9, 10),
        shapes={10: (1,)},
        ones=(10,),
        out=(0, 5),
    ),
    Update("_multi_lamb_update", 8, _MANY_LAMB, out=(0, 4)),
    Update("_multi_lamb_update", 8, {**_MANY_LAMB, "lower_bound": 1.5, "upper_bound": 1.8, **_SHARED}, out=(0, 4)),
    Update(
        "multi_lars",
        4,
        {"eta": 0.1, "eps": 0.01, "rescale_grad": 0.5},
        shapes=dict.fromkeys(range(4), (3,)),
        ones=(1, 2),
    ),
    *(
        Update(op, arrays, params, dtype)
        for dtype in ("float16", "float64")
        for op, arrays, params in [
            ("sgd_update", 2, _FULL),
            ("sgd_mom_update", 3, {**_FULL, "momentum": 0.9}),
            ("nag_mom_update", 3, {**_FULL, "momentum": 0.9}),
            ("adam_update", 4, _FULL),
            ("rmsprop_update", 3, _FULL),
            ("rmspropalex_update", 5, _FULL),
            ("ftrl_update", 4, _FULL),
            ("ftml_update", 5, {"lr": 0.1, "t": 3}),
            ("signsgd_update", 2, _FULL),
            ("signum_update", 3, {**_FULL, "momentum": 0.9}),
            ("lamb_update_phase1", 4, _LAMB),
            ("all_finite", 1, {}),
            ("multi_all_finite", 2, {"num_arrays": 2}),
        ]
        # In half precision MXNet rounds a power that is nearly 1 and takes it from 1.
        if (op, dtype) != ("ftml_update", "float16")
    ),
    Update("mp_sgd_update", 3, _PLAIN, "float64", single=(2,)),
    Update("multi_sum_sq", 2, {"num_arrays": 2}),
    Update("all_finite", 1, {}),
    Update("multi_all_finite", 2, {"num_arrays": 2}),
    Update("reset_arrays", 2, {"num_arrays": 2}),
]


def perform(mx: Any, update: Update) -> dict[str, list[np.ndarray]]:
    """The results of the call, and all its arrays afterwards."""
    arrays = []
    for position in range(update.arrays):
        # Weights and gradients have either sign, running averages of squares have not.
        low = -1 if position < 2 else 0.1
        shape = update.shapes.get(position, (2, 3))
        numbers = np.random.RandomState(position).uniform(low, 1, size=shape).round(3)
        if position in update.ones:
            numbers = np.ones(shape)
        dtype = "float32" if position in update.single else update.dtype
        arrays.append(mx.nd.array(numbers, dtype=dtype))
    out = {"out": [arrays[position] for position in update.out]} if update.out else {}
    results = find(mx, update.op)(*arrays, **update.params, **out)
    results = results if isinstance(results, (list, tuple)) else [results]
    return {
        "results": [array.asnumpy() for array in results],
        "arrays": [array.asnumpy() for array in arrays],
    }


def find(mx: Any, op: str) -> Any:
    """The function that runs ``op`` on arrays, wherever it is."""
    return getattr(mx.nd._internal if op.startswith("_") else mx.nd, op)
