"""What every contender is fed with: the same batch, the same learning rate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["BATCHES", "LEARNING_RATE", "MOMENTUM", "Batch"]

LEARNING_RATE = 0.05
MOMENTUM = 0.9


class Batch(NamedTuple):
    """Shapes of data and label, batch axis first, and what they count."""

    data: tuple[int, ...]
    label: tuple[int, ...]
    classes: int
    #: Data are whole numbers below this, instead of normal values.
    integers: int = 0

    def of(self, size: int | None) -> Batch:
        """The same with another batch size; None leaves it."""
        if size is None:
            return self
        return self._replace(data=(size, *self.data[1:]), label=(size, *self.label[1:]))

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Data and label, the same for everyone, as float32."""
        rng = np.random.RandomState(0)
        values = rng.randint(0, self.integers, self.data) if self.integers else rng.randn(*self.data)
        return values.astype(np.float32), rng.randint(0, self.classes, self.label).astype(np.float32)


BATCHES = {
    "mlp": Batch((128, 784), (128,), 10),
    "lenet": Batch((64, 1, 28, 28), (64,), 10),
    "char_lstm": Batch((32, 64), (32, 64), 96, integers=96),
    "resnet50": Batch((8, 3, 224, 224), (8,), 1000),
}
