"""Every rule once more, for one array, in NumPy and double precision, as its paper or MXNet states it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

__all__ = ["RULES", "Settings"]


@dataclass
class Settings:
    """What an update depends on beside the rule's own constants."""

    lr: float
    wd: float = 0.0
    rescale: float = 1.0
    clip: float | None = None
    options: dict[str, float] = field(default_factory=dict)

    def gradient(self, g: np.ndarray) -> np.ndarray:
        return self._clipped(self.rescale * g)

    def decayed(self, g: np.ndarray, w: np.ndarray) -> np.ndarray:
        return self._clipped(self.rescale * g + self.wd * w)

    def _clipped(self, g: np.ndarray) -> np.ndarray:
        return g if self.clip is None else np.clip(g, -self.clip, self.clip)

    def get(self, name: str, default: float) -> float:
        return self.options.get(name, default)


# A rule takes the settings, the state (a dict, empty at first), the number of the update, w and g; it returns w.
Rule = Callable[[Settings, dict[str, np.ndarray], int, np.ndarray, np.ndarray], np.ndarray]


def sgd(s: Settings, state: dict, t: int, w: np.ndarray, g: np.ndarray) -> np.ndarray:
    step = s.lr * (s.gradient(g) + s.wd * w)
    state["m"] = s.get("momentum", 0) * state.get("m", 0 * w) - step
    return w + state["m"]


def nag(s: Settings, state: dict, t: int, w: np.ndarray, g: np.ndarray) -> np.ndarray:
    mu, g = s.get("momentum", 0), s.gradient(g)
    m = mu * state.get("m", 0 * w)
    new = w - m + (mu + 1) * (m - s.lr * (g + s.wd * w))
    state["m"] = m - s.lr * (g + s.wd * new)
    return new


def signum(s: Settings, state: dict, t: int, w: np.ndarray, g: np.ndarray) -> np.ndarray:
    mu = s.get("momentum", 0.9)
    if mu == 0:
        return (1 - s.lr * (s.wd + s.get("wd_lh", 0))) * w - s.lr * np.sign(s.gradient(g))
    state["m"] = mu * state.get("m", 0 * w) - (1 - mu) * (s.gradient(g) + s.wd * w)
    return (1 - s.lr * s.get("wd_lh", 0)) * w + s.lr * np.sign(state["m"])


def dcasgd(s: Settings, state: dict, t: int, w: np.ndarray, g: np.ndarray) -> np.ndarray:
    g, previous = s.gradient(g), state.get("previous", w)
    delayed = g + s.wd * w + s.get("lamda", 0.04) * g * g * (w - previous)
    state["m"] = s.get("momentum", 0) * state.get("m", 0 * w) - s.lr * delayed
    state["previous"] = w
    return w + state["m"]


def test(s: Settings, state: dict, t: int, w: np.ndarray, g: np.ndarray) -> np.ndarray:
    return w + s.rescale * g


def _moments(s: Settings, state: dict, g: np.ndarray, beta1: float = 0.9, beta2: float = 0.999) -> tuple:
    b1, b2 = s.get("beta1", beta1), s.get("beta2", beta2)
    state["m"] = b1 * state.get("m", 0 * g) + (1 - b1) * g
    state["v"] = b2 * state.get("v", 0 * g) + (1 - b2) * g * g
    return state["m"], state["v"], b1, b2


def adam(s: Settings, state: dict, t: int, w: np.ndarray, g: np.ndarray) -> np.ndarray:
    m, v, b1, b2 = _moments(s, state, s.decayed(g, w))
    return w - s.lr * np.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + s.get("epsilon", 1e-8))


def adamax(s: Settings, state: dict, t: int, w: np.ndarray, g: np.ndarray) -> np.ndarray:
    g = s.decayed(g, w)
    m, _, b1, b2 = _moments(s, state, g)
    state["u"] = np.maximum(b2 * state.get("u", 0 * g), abs(g))
    return w - s.lr / (1 - b1**t) * np.divide(m, state["u"], out=0 * m, where=state["u"] > 0)


def nadam(s: Settings, state: dict, t: int, w: np.ndarray, g: np.ndarray) -> np.ndarray:
    g = s.decayed(g, w)
    m, v, b1, b2 = _moments(s, state, g)
    now, after = (b1 * (1 - 0.5 * 0.96 ** (k * s.get("schedule_decay", 0.004))) for k in (t, t + 1))
    product = state["product"] = state.get("product", 1.0) * now
    bar = (1 - now) * g / (1 - product) + after * m / (1 - product * after)
    return w - s.lr * bar / (np.sqrt(v / (1 - b2**t)) + s.get("epsilon", 1e-8))


def ftml(s: Settings, state: dict, t: int, w: np.ndarray, g: np.ndarray) -> np.ndarray:
    b1, b2, g = s.get("beta1", 0.6), s.get("beta2", 0.999), s.decayed(g, w)
    state["v"] = b2 * state.get("v", 0 * w) + (1 - b2) * g * g
    d = (1 - b1**t) / s.lr * (np.sqrt(state["v"] / (1 - b2**t)) + s.get("epsilon", 1e-8))
    state["z"] = b1 * state.get("z", 0 * w) + (1 - b1) * g - (d - b1 * state.get("d", 0 * w)) * w
    state["d"] = d
    return -state["z"] / d


def adagrad(s: Settings, state: dict, t: int, w: np.ndarray, g: np.ndarray) -> np.ndarray:
    g = s.gradient(g)
    state["h"] = state.get("h", 0 * w) + g * g
    return w - s.lr * (g / np.sqrt(state["h"] + s.get("eps", 1e-7)) + s.wd * w)


def adadelta(s: Settings, state: dict, t: int, w: np.ndarray, g: np.ndarray) -> np.ndarray:
    rho, eps, g = s.get("rho", 0.9), s.get("epsilon", 1e-5), s.gradient(g)
    a = state["a"] = rho * state.get("a", 0 * w) + (1 - rho) * g * g
    delta = np.sqrt(state.get("b", 0 * w) + eps) / np.sqrt(a + eps) * g
    state["b"] = rho * state.get("b", 0 * w) + (1 - rho) * delta * delta
    return w - delta - s.wd * w


def rmsprop(s: Settings, state: dict, t: int, w: np.ndarray, g: np.ndarray) -> np.ndarray:
    g1, g2, eps, g = s.get("gamma1", 0.9), s.get("gamma2", 0.9), s.get("epsilon", 1e-8), s.decayed(g, w)
    n = state["n"] = g1 * state.get("n", 0 * w) + (1 - g1) * g * g
    if s.get("centered", False):
        mean = state["mean"] = g1 * state.get("mean", 0 * w) + (1 - g1) * g
        state["delta"] = g2 * state.get("delta", 0 * w) - s.lr * g / np.sqrt(n - mean**2 + eps)
        w = w + state["delta"]
    else:
        w = w - s.lr * g / np.sqrt(n + eps)
    limit = s.get("clip_weights", np.inf)
    return np.clip(w, -limit, limit)


def ftrl(s: Settings, state: dict, t: int, w: np.ndarray, g: np.ndarray) -> np.ndarray:
    g, n, l1 = s.gradient(g), state.get("n", 0 * w), s.get("lamda1", 0.01)
    z = state["z"] = state.get("z", 0 * w) + g - (np.sqrt(n + g * g) - np.sqrt(n)) * w / s.lr
    state["n"] = n + g * g
    new = (np.sign(z) * l1 - z) / ((s.get("beta", 1) + np.sqrt(state["n"])) / s.lr + s.wd)
    return new * (abs(z) > l1)


def groupadagrad(s: Settings, state: dict, t: int, w: np.ndarray, g: np.ndarray) -> np.ndarray:
    g = s.gradient(g)
    state["h"] = state.get("h", 0) + (g * g).mean(axis=1, keepdims=True)
    return w - s.lr * g / np.sqrt(state["h"] + s.get("eps", 1e-5))


def lars(s: Settings, state: dict, t: int, w: np.ndarray, g: np.ndarray) -> np.ndarray:
    w_norm, g_norm = np.linalg.norm(w), np.linalg.norm(s.rescale * g)
    rate = s.lr
    if w_norm > 0 and g_norm > 0:
        rate *= s.get("eta", 0.001) * w_norm / (g_norm + s.wd * w_norm + s.get("eps", 0))
    return sgd(Settings(rate, s.wd, s.rescale, s.clip, s.options), state, t, w, g)


def lbsgd(s: Settings, state: dict, t: int, w: np.ndarray, g: np.ndarray) -> np.ndarray:
    scale = s.get("batch_scale", 1)
    total = state["total"] = state.get("total", 0) + g
    if t % scale:
        return w
    state["total"] = 0
    warmup = s.get("warmup_epochs", 5) * s.get("updates_per_epoch", 32)
    share = min(t / warmup, 1.0)
    rate = s.lr * (1 + (scale - 1) * share)
    return sgd(Settings(rate, s.wd, s.rescale, s.clip, s.options), state, t, w, total / scale)


def lamb(s: Settings, state: dict, t: int, w: np.ndarray, g: np.ndarray) -> np.ndarray:
    m, v, b1, b2 = _moments(s, state, s.gradient(g))
    if s.get("bias_correction", True):
        m, v = m / (1 - b1**t), v / (1 - b2**t)
    step = m / (np.sqrt(v) + s.get("epsilon", 1e-6)) + s.wd * w
    w_norm = np.clip(np.linalg.norm(w), s.get("lower_bound", 0), s.get("upper_bound", np.inf))
    ratio = w_norm / np.linalg.norm(step) if w_norm and step.any() else 1.0
    return w - s.lr * ratio * step


RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        *(sgd, nag, signum, dcasgd, test, adam, adamax, nadam, ftml, adagrad, adadelta, rmsprop, ftrl),
        *(groupadagrad, lars, lbsgd, lamb),
    )
}
RULES["ccsgd"] = sgd
