"""Factories by name: how ``'acc'``, ``'xavier'`` or ``'["xavier", {"magnitude": 2}]'`` become objects.

Every family of configurable objects (metrics, initializers, or a user's own) has one :class:`Registry`, found
by the base class of the family. The four functions below are the public door, with the names MXNet gave them.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

__all__ = ["Registry", "get_alias_func", "get_create_func", "get_register_func", "get_registry", "registry_of"]


class Registry:
    """The classes of one family, by lower-case name.

    Parameters
    ----------
    base_class : the class that every member derives from.
    nickname : what one member is called in messages, and the key that names the class in a dict configuration.
    """

    def __init__(self, base_class: type, nickname: str) -> None:
        self.base_class = base_class
        self.nickname = nickname
        self.classes: dict[str, type] = {}

    def register(self, klass: type, name: str | None = None) -> type:
        """Make ``klass`` known as ``name`` (default: its class name) in lower case; usable as a decorator.

        A second class of the same name replaces the first, with a UserWarning.
        """
        if not (isinstance(klass, type) and issubclass(klass, self.base_class)):
            raise TypeError(f"Can only register subclasses of {self.base_class.__name__}, got {klass!r}")
        name = (name or klass.__name__).lower()
        known = self.classes.get(name)
        if known is not None and known is not klass:
            warnings.warn(
                f"New {self.nickname} {klass.__module__}.{klass.__name__} registered with name {name} is "
                f"overriding existing {self.nickname} {known.__module__}.{known.__name__}",
                UserWarning,
                stacklevel=2,
            )
        self.classes[name] = klass
        return klass

    def alias(self, *names: str) -> Callable[[type], type]:
        """A class decorator that makes the class known under further ``names``."""

        def decorate(klass: type) -> type:
            for name in names:
                self.register(klass, name)
            return klass

        return decorate

    def create(self, *args: Any, **kwargs: Any) -> Any:
        """An instance from its description.

        The first argument (or the keyword argument called like the family) is an instance, which is returned
        as it is; a name, to whose class the other arguments are passed; a dict with the name under the
        family's key and the arguments beside it; or the JSON text of ``[name, arguments]`` or of such a dict.

        Raises TypeError for anything else, ValueError for an unknown name or arguments that cannot be used.
        """
        if args:
            spec, *rest = args
        elif self.nickname in kwargs:
            spec, rest = kwargs.pop(self.nickname), []
        else:
            raise TypeError(f"{self.nickname}: expected a name, a description or an instance, got nothing")
        described = isinstance(spec, str) and spec.startswith(("[", "{"))
        if (rest or kwargs) and (described or isinstance(spec, (dict, self.base_class))):
            raise ValueError(f"{self.nickname} {spec!r} is complete; further arguments cannot be used")
        if isinstance(spec, self.base_class):
            return spec
        if described:
            spec = self._parse(spec)
        if isinstance(spec, dict):
            return self.create(**spec)
        if isinstance(spec, list):
            return self.create(spec[0], **spec[1])
        if not isinstance(spec, str):
            raise TypeError(f"{self.nickname} must be a name or an instance, got {spec!r}")
        if spec.lower() not in self.classes:
            raise ValueError(
                f"{spec} is not registered. Please register with {self.nickname}.register first. "
                f"Known: {', '.join(sorted(self.classes))}"
            )
        return self.classes[spec.lower()](*rest, **kwargs)

    def _parse(self, text: str) -> dict | list:
        try:
            spec = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"{self.nickname} description {text[:200]!r} is not valid JSON: {error}") from None
        if isinstance(spec, dict) and isinstance(spec.get(self.nickname), str):
            return spec
        if isinstance(spec, list) and list(map(type, spec)) == [str, dict]:
            return spec
        raise ValueError(
            f'{self.nickname} description {text!r} must read ["name", {{arguments}}] '
            f'or {{"{self.nickname}": "name", arguments}}'
        )


_REGISTRIES: dict[type, Registry] = {}


def registry_of(base_class: type, nickname: str) -> Registry:
    """The registry of the family of ``base_class``, made when it is first asked for."""
    return _REGISTRIES.setdefault(base_class, Registry(base_class, nickname))


def get_registry(base_class: type) -> dict[str, type]:
    """A copy of the table name → class of the family of ``base_class``; empty if it has none."""
    registry = _REGISTRIES.get(base_class)
    return dict(registry.classes) if registry else {}


def get_register_func(base_class: type, nickname: str) -> Callable[..., type]:
    """The decorator ``register(klass, name=None)`` of the family of ``base_class``."""
    return registry_of(base_class, nickname).register


def get_alias_func(base_class: type, nickname: str) -> Callable[..., Callable[[type], type]]:
    """The decorator maker ``alias(*names)`` of the family of ``base_class``."""
    return registry_of(base_class, nickname).alias


def get_create_func(base_class: type, nickname: str) -> Callable[..., Any]:
    """The function ``create(description, *args, **kwargs)`` of the family of ``base_class``."""
    return registry_of(base_class, nickname).create
