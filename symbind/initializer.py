"""How parameters get their first values.

An initializer is called with the description of a parameter and its array. A parameter whose variable carries
its own initializer (the ``__init__`` attribute, from ``Variable(init=…)``) is filled by that one; otherwise the
end of the name decides: weights are what the initializer is about, biases and ``beta`` start at 0, ``gamma`` at
1. A name that says nothing is an error, not a guess.

All random numbers come from the package's generator of the array's device, so ``mx.random.seed`` makes them
reproducible.
"""

from __future__ import annotations

import json
import logging
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from . import ndarray
from .generators import generator
from .ndarray import NDArray
from .registry import registry_of

__all__ = [
    "Bilinear",
    "Constant",
    "FusedRNN",
    "InitDesc",
    "Initializer",
    "LSTMBias",
    "Load",
    "MSRAPrelu",
    "Mixed",
    "Normal",
    "One",
    "Orthogonal",
    "Uniform",
    "Xavier",
    "Zero",
    "alias",
    "create",
    "register",
]


class InitDesc(str):
    """The description of a parameter: its name, as a string, with what else is known about it.

    Parameters
    ----------
    name : the parameter's name.
    attrs : the attributes of its variable.
    global_init : the initializer of the whole net, for initializers that delegate (default: the one called).
    """

    attrs: dict[str, str]
    global_init: Initializer | None

    def __new__(
        cls, name: str, attrs: Mapping[str, str] | None = None, global_init: Initializer | None = None
    ) -> InitDesc:
        self = super().__new__(cls, name)
        self.attrs = dict(attrs or {})
        self.global_init = global_init
        return self


class Initializer:
    """Base class; a subclass defines :meth:`_init_weight` and passes its arguments on for :meth:`dumps`."""

    # (ending of the name, method): the first that matches is used.
    _BY_SUFFIX = (
        ("weight", "_init_weight"),
        ("bias", "_init_bias"),
        ("gamma", "_init_gamma"),
        ("beta", "_init_beta"),
        ("min", "_init_zero"),
        ("max", "_init_one"),
        ("weight_quantize", "_init_quantized_weight"),
        ("bias_quantize", "_init_quantized_bias"),
    )
    # (beginning, ending, method) for names that are plain strings, as before descriptions existed.
    _BY_PLAIN_NAME = (
        ("upsampling", "", "_init_bilinear"),
        ("stn_loc", "weight", "_init_zero"),
        ("stn_loc", "bias", "_init_loc_bias"),
        ("", "bias", "_init_bias"),
        ("", "gamma", "_init_gamma"),
        ("", "beta", "_init_beta"),
        ("", "weight", "_init_weight"),
        ("", "moving_mean", "_init_zero"),
        ("", "moving_var", "_init_one"),
        ("", "moving_inv_var", "_init_zero"),
        ("", "moving_avg", "_init_zero"),
        ("", "min", "_init_zero"),
        ("", "max", "_init_one"),
    )

    def __init__(self, **kwargs: Any) -> None:
        self._kwargs = kwargs
        self._verbose = False
        self._print_func: Callable[[NDArray], Any] = _root_mean_square

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Initializer):
            return NotImplemented
        return type(self) is type(other) and self._kwargs == other._kwargs

    def __hash__(self) -> int:
        return hash(self.dumps())

    def set_verbosity(self, verbose: bool = False, print_func: Callable[[NDArray], Any] | None = None) -> Initializer:
        """Log each parameter that is initialized, with ``print_func`` of its array (default ‖x‖₂/√size)."""
        self._verbose = verbose
        self._print_func = print_func or _root_mean_square
        return self

    def dumps(self) -> str:
        """The JSON text ``[name, arguments]`` from which :func:`create` makes an equal initializer."""
        return json.dumps([type(self).__name__.lower(), self._kwargs])

    def __call__(self, desc: InitDesc | str, arr: NDArray) -> None:
        """Fill ``arr``, the parameter described by ``desc``.

        Raises ValueError if the name matches no known ending and its variable has no initializer.
        """
        if not isinstance(desc, InitDesc):
            self._init_by_plain_name(desc, arr)
            return
        if desc.global_init is None:
            desc.global_init = self
        own = desc.attrs.get("__init__")
        if own:
            create(own)._init_weight(desc, arr)
            self._log(desc, own, arr)
            return
        for suffix, method in self._BY_SUFFIX:
            if desc.endswith(suffix):
                getattr(self, method)(desc, arr)
                self._log(desc, suffix, arr)
                return
        self._init_default(desc, arr)

    def _init_by_plain_name(self, name: str, arr: NDArray) -> None:
        warnings.warn(
            "Calling initializer with init(str, NDArray) has been deprecated. "
            "Please use init(mx.init.InitDesc(...), NDArray) instead.",
            DeprecationWarning,
            stacklevel=3,
        )
        if not isinstance(name, str):
            raise TypeError(f"name must be string, got {name!r}")
        if not isinstance(arr, NDArray):
            raise TypeError(f"arr must be NDArray, got {arr!r} for {name}")
        for prefix, suffix, method in self._BY_PLAIN_NAME:
            if name.startswith(prefix) and name.endswith(suffix):
                getattr(self, method)(name, arr)
                return
        self._init_default(name, arr)

    def _log(self, desc: InitDesc, rule: str, arr: NDArray) -> None:
        if self._verbose:
            logging.info("Initialized %s as %s: %s", desc, rule, self._print_func(arr))

    # The hooks below are what subclasses override; their names are part of the interface.

    def _init_weight(self, name: InitDesc | str, arr: NDArray) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define _init_weight(name, arr)")

    def _init_zero(self, name: InitDesc | str, arr: NDArray) -> None:
        arr.tensor.zero_()

    def _init_one(self, name: InitDesc | str, arr: NDArray) -> None:
        arr.tensor.fill_(1)

    _init_bias = _init_zero
    _init_beta = _init_zero
    _init_quantized_bias = _init_zero
    _init_gamma = _init_one

    def _init_quantized_weight(self, name: InitDesc | str, arr: NDArray) -> None:
        arr.tensor.random_(-127, 127, generator=generator(arr.tensor.device))

    def _init_bilinear(self, name: InitDesc | str, arr: NDArray) -> None:
        _fill_bilinear(name, arr)

    def _init_loc_bias(self, name: InitDesc | str, arr: NDArray) -> None:
        # A spatial transformer starts as the identity map [[1, 0, 0], [0, 1, 0]].
        if arr.shape != (6,):
            raise ValueError(f"{name}: the bias of a localisation net has shape (6,), got {arr.shape}")
        arr.tensor.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]))

    def _init_default(self, name: InitDesc | str, arr: NDArray) -> None:
        raise ValueError(
            f"Unknown initialization pattern for {name}. Default initialization is now limited to "
            '"weight", "bias", "gamma" (1.0), and "beta" (0.0). '
            "Please use mx.sym.Variable(init=mx.init.*) to set initialization pattern"
        )


def _root_mean_square(arr: NDArray) -> str:
    return str(float(arr.tensor.float().square().mean().sqrt()))


_REGISTRY = registry_of(Initializer, "initializer")
register = _REGISTRY.register
alias = _REGISTRY.alias
create = _REGISTRY.create


@alias("zeros")
@register
class Zero(Initializer):
    """All weights 0."""

    def __init__(self) -> None:
        super().__init__()

    _init_weight = Initializer._init_zero


@alias("ones")
@register
class One(Initializer):
    """All weights 1."""

    def __init__(self) -> None:
        super().__init__()

    _init_weight = Initializer._init_one


@register
class Constant(Initializer):
    """Weights equal to ``value``, a number or an array that broadcasts to the weight."""

    def __init__(self, value: Any) -> None:
        self.value = value.asnumpy() if isinstance(value, NDArray) else value
        super().__init__(value=np.asarray(self.value).tolist())

    def _init_weight(self, name: InitDesc | str, arr: NDArray) -> None:
        arr.tensor.copy_(torch.as_tensor(self.value))


def _fill_uniform(arr: NDArray, bound: float) -> None:
    arr.tensor.uniform_(-bound, bound, generator=generator(arr.tensor.device))


def _fill_normal(arr: NDArray, sigma: float) -> None:
    arr.tensor.normal_(0.0, sigma, generator=generator(arr.tensor.device))


@register
class Uniform(Initializer):
    """Weights uniform on [−scale, scale)."""

    def __init__(self, scale: float = 0.07) -> None:
        super().__init__(scale=scale)
        self.scale = scale

    def _init_weight(self, name: InitDesc | str, arr: NDArray) -> None:
        _fill_uniform(arr, self.scale)


@register
class Normal(Initializer):
    """Weights from the normal distribution N(0, sigma²)."""

    def __init__(self, sigma: float = 0.01) -> None:
        super().__init__(sigma=sigma)
        self.sigma = sigma

    def _init_weight(self, name: InitDesc | str, arr: NDArray) -> None:
        _fill_normal(arr, self.sigma)


@register
class Orthogonal(Initializer):
    """``scale`` times a matrix with orthonormal rows or columns, whichever are fewer.

    The weight, seen as the matrix (shape[0], product of the rest), is a factor of the singular value
    decomposition of a random matrix: uniform on [−1, 1) or standard normal (``rand_type`` ``'uniform'`` or
    ``'normal'``). Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks", 2013.
    """

    def __init__(self, scale: float = 1.414, rand_type: str = "uniform") -> None:
        if rand_type not in ("uniform", "normal"):
            raise ValueError(f"Unknown random type {rand_type!r}; expected 'uniform' or 'normal'")
        super().__init__(scale=scale, rand_type=rand_type)
        self.scale = scale
        self.rand_type = rand_type

    def _init_weight(self, name: InitDesc | str, arr: NDArray) -> None:
        rows = arr.shape[0]
        matrix = torch.empty(rows, arr.tensor.numel() // rows, device=arr.tensor.device)
        if self.rand_type == "uniform":
            matrix.uniform_(-1.0, 1.0, generator=generator(matrix.device))
        else:
            matrix.normal_(0.0, 1.0, generator=generator(matrix.device))
        left, _, right = torch.linalg.svd(matrix, full_matrices=False)
        orthogonal = left if left.shape == matrix.shape else right
        arr.tensor.copy_((orthogonal * self.scale).reshape(arr.shape))


@register
class Xavier(Initializer):
    """Weights whose variance is ``magnitude / factor`` (gaussian) or a third of it (uniform).

    With ``fan_in = shape[1] · receptive field`` and ``fan_out = shape[0] · receptive field``, the receptive
    field being the product of the other dimensions, ``factor`` is their mean (``factor_type='avg'``), ``fan_in``
    (``'in'``) or ``fan_out`` (``'out'``). With ``scale = √(magnitude / factor)`` the weights are uniform on
    [−scale, scale) (``rnd_type='uniform'``) or normal with standard deviation ``scale`` (``'gaussian'``).

    Raises ValueError for weights of less than two dimensions. Glorot and Bengio, "Understanding the difficulty
    of training deep feedforward neural networks", 2010.
    """

    def __init__(self, rnd_type: str = "uniform", factor_type: str = "avg", magnitude: float = 3) -> None:
        if rnd_type not in ("uniform", "gaussian"):
            raise ValueError(f"Unknown random type {rnd_type!r}; expected 'uniform' or 'gaussian'")
        if factor_type not in ("avg", "in", "out"):
            raise ValueError(f"Incorrect factor type {factor_type!r}; expected 'avg', 'in' or 'out'")
        super().__init__(rnd_type=rnd_type, factor_type=factor_type, magnitude=magnitude)
        self.rnd_type = rnd_type
        self.factor_type = factor_type
        self.magnitude = float(magnitude)

    def _init_weight(self, name: InitDesc | str, arr: NDArray) -> None:
        shape = arr.shape
        if len(shape) < 2:
            raise ValueError(
                f"Xavier initializer cannot be applied to vector {name}. It requires at least 2D, got shape {shape}."
            )
        field = math.prod(shape[2:])
        fan_in, fan_out = shape[1] * field, shape[0] * field
        factor = {"avg": (fan_in + fan_out) / 2, "in": fan_in, "out": fan_out}[self.factor_type]
        scale = math.sqrt(self.magnitude / factor)
        fill = _fill_uniform if self.rnd_type == "uniform" else _fill_normal
        fill(arr, scale)


@register
class MSRAPrelu(Xavier):
    """Gaussian :class:`Xavier` with magnitude ``2 / (1 + slope²)``, for nets of PReLUs of that ``slope``.

    He, Zhang, Ren and Sun, "Delving Deep into Rectifiers", 2015.
    """

    def __init__(self, factor_type: str = "avg", slope: float = 0.25) -> None:
        super().__init__("gaussian", factor_type, 2.0 / (1 + slope**2))
        self._kwargs = {"factor_type": factor_type, "slope": slope}


@register
class Bilinear(Initializer):
    """The kernel of bilinear interpolation in the last two dimensions, for upsampling by deconvolution.

    ``w[…, y, x] = (1 − |x/f − c|)(1 − |y/f − c|)`` with ``f = ⌈width/2⌉``, ``c = (2f − 1 − f mod 2) / 2f``.
    """

    def __init__(self) -> None:
        super().__init__()

    _init_weight = Initializer._init_bilinear


def _fill_bilinear(name: InitDesc | str, arr: NDArray) -> None:
    if len(arr.shape) != 4:
        raise ValueError(f"Bilinear initializer needs a weight of 4 dimensions, got {arr.shape} for {name}")
    height, width = arr.shape[2:]
    f = math.ceil(width / 2)
    c = (2 * f - 1 - f % 2) / (2 * f)
    along_x = 1 - (torch.arange(width, dtype=torch.float64) / f - c).abs()
    along_y = 1 - (torch.arange(height, dtype=torch.float64) / f - c).abs()
    arr.tensor.copy_(along_y[:, None] * along_x)


@register
class LSTMBias(Initializer):
    """The bias of an LSTM: 0, but ``forget_bias`` for the forget gate, the second of the four gates."""

    def __init__(self, forget_bias: float = 1.0) -> None:
        super().__init__(forget_bias=forget_bias)
        self.forget_bias = forget_bias

    def _init_weight(self, name: InitDesc | str, arr: NDArray) -> None:
        hidden = arr.shape[0] // 4
        arr.tensor.zero_()
        arr.tensor[hidden : 2 * hidden] = self.forget_bias


@register
class FusedRNN(Initializer):
    """The parameter vector of a :class:`~symbind.rnn.FusedRNNCell`, initialized weight by weight.

    Parameters
    ----------
    init : for the weights; an initializer, its description, or None for that of the whole net.
    num_hidden, num_layers, mode, bidirectional : those of the cell.
    forget_bias : for both biases of the forget gates of an LSTM; all other biases are 0.
    """

    def __init__(
        self,
        init: Initializer | str | None,
        num_hidden: int,
        num_layers: int,
        mode: str,
        bidirectional: bool = False,
        forget_bias: float = 1.0,
    ) -> None:
        self._init = create(init) if isinstance(init, str) else init
        super().__init__(
            init=None if self._init is None else self._init.dumps(),
            num_hidden=num_hidden,
            num_layers=num_layers,
            mode=mode,
            bidirectional=bidirectional,
            forget_bias=forget_bias,
        )

    def _init_weight(self, name: InitDesc | str, arr: NDArray) -> None:
        from .rnn import FusedRNNCell  # which itself needs this module

        settings = {key: value for key, value in self._kwargs.items() if key != "init"}
        init = self._init or getattr(name, "global_init", None)
        if init is None:
            raise ValueError(f"There is no initializer for {name}: give one to FusedRNN or to the whole net")
        for part, view in FusedRNNCell(**settings, prefix="").views(arr).items():
            if settings["mode"] == "lstm" and part.endswith("_f_bias"):
                view[:] = settings["forget_bias"]
            else:
                init(InitDesc(part, global_init=init), view)


class Load:
    """Copies parameters from ``param``, a dict of arrays or the path of a ``.params`` file.

    Names may carry the prefixes ``arg:`` and ``aux:`` of checkpoints. A parameter that is not there is left to
    ``default_init``; without one, as for a shape that differs, ValueError is raised.
    """

    def __init__(
        self,
        param: str | Mapping[str, NDArray],
        default_init: Callable[[InitDesc | str, NDArray], None] | None = None,
        verbose: bool = False,
    ) -> None:
        loaded = ndarray.load(param) if isinstance(param, str) else param
        if not isinstance(loaded, Mapping):
            raise TypeError(f"Load needs a dict of named arrays or the file of one, got {param!r}")
        self.param = {name.removeprefix("arg:").removeprefix("aux:"): arr for name, arr in loaded.items()}
        self.default_init = default_init
        self.verbose = verbose

    def __call__(self, name: InitDesc | str, arr: NDArray) -> None:
        if name in self.param:
            source = self.param[name]
            if tuple(source.shape) != tuple(arr.shape):
                raise ValueError(
                    f"Parameter {name} cannot be initialized from loading. "
                    f"Shape mismatch, target {arr.shape} vs loaded {source.shape}"
                )
            arr[:] = source
        elif self.default_init is not None:
            self.default_init(name, arr)
        else:
            raise ValueError(
                f"Cannot Initialize {name}. Not found in loaded param and no default Initializer is provided."
            )
        if self.verbose:
            logging.info("Initialized %s by %s", name, "loading" if name in self.param else "default")


class Mixed:
    """The initializer whose pattern, a regular expression, first matches the beginning of the name."""

    def __init__(
        self, patterns: Sequence[str], initializers: Sequence[Callable[[InitDesc | str, NDArray], None]]
    ) -> None:
        if len(patterns) != len(initializers):
            raise ValueError(f"Mixed needs one initializer per pattern, got {len(initializers)} for {len(patterns)}")
        self.map = [(re.compile(pattern), init) for pattern, init in zip(patterns, initializers)]

    def __call__(self, name: InitDesc | str, arr: NDArray) -> None:
        for pattern, init in self.map:
            if pattern.match(name):
                init(name, arr)
                return
        raise ValueError(
            f"Parameter name {name} did not match any pattern. "
            'Consider adding a ".*" pattern at the end with a default Initializer.'
        )
