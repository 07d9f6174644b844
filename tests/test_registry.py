"""Objects from names, configurations and JSON."""

from __future__ import annotations

import pytest

from symbind import registry


@pytest.fixture
def family() -> registry.Registry:
    class Shape:
        def __init__(self, size: int = 1) -> None:
            self.size = size

    made = registry.registry_of(Shape, "shape")

    @made.alias("box", "Quad")
    @made.register
    class Square(Shape):
        pass

    return made


def test_names_ignore_case_and_aliases_name_the_same_class(family: registry.Registry) -> None:
    square = registry.get_registry(family.base_class)["square"]
    assert {type(family.create(name)) for name in ("square", "SQUARE", "box", "quad")} == {square}


@pytest.mark.parametrize(
    "spec", ['["square", {"size": 3}]', '{"shape": "square", "size": 3}', {"shape": "square", "size": 3}]
)
def test_configurations(family: registry.Registry, spec: object) -> None:
    assert family.create(spec).size == 3


def test_keyword_and_positional_arguments(family: registry.Registry) -> None:
    assert family.create("box", 4).size == family.create("box", size=4).size == family.create(shape="box", size=4).size


def test_an_instance_is_returned_as_it_is(family: registry.Registry) -> None:
    one = family.create("box")
    assert family.create(one) is one
    with pytest.raises(ValueError, match="further arguments"):
        family.create(one, 3)


def test_a_second_class_of_a_name_replaces_the_first_with_a_warning(family: registry.Registry) -> None:
    other = type("Square", (family.base_class,), {})
    with pytest.warns(UserWarning, match="overriding existing shape"):
        family.register(other)
    assert type(family.create("square")) is other


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("circle", ValueError, "circle is not registered.*box"),
        (5, TypeError, "5"),
        ("[1, 2]", ValueError, r"\[1, 2\]"),
        ('["square"', ValueError, "not valid JSON"),
        ('{"size": 3}', ValueError, "shape"),
        ('{"shape": ["square", {}]}', ValueError, "shape"),
    ],
)
def test_errors(family: registry.Registry, spec: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        family.create(spec)


def test_only_members_of_the_family_can_be_registered(family: registry.Registry) -> None:
    with pytest.raises(TypeError, match="subclasses of Shape"):
        family.register(int)
    with pytest.raises(TypeError, match="got nothing"):
        family.create()


def test_deep_json_is_an_error_like_any_other(family: registry.Registry) -> None:
    with pytest.raises(ValueError, match="not valid JSON"):
        family.create("[" * 100_000)


def test_public_functions_share_one_registry(family: registry.Registry) -> None:
    base = family.base_class
    made = registry.get_register_func(base, "shape")(type("Disc", (base,), {}))
    registry.get_alias_func(base, "shape")("round")(made)
    assert type(registry.get_create_func(base, "shape")("round")) is made
    assert registry.get_registry(int) == {}
