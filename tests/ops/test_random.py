"""Random operators: their distributions by statistical tests, seeds, shapes, types and errors."""

import numpy as np
import pytest
from scipy import stats

import symbind as mx

COUNT = 20000
# A correct operator fails a test at this level once in a million seeds; the seeds are fixed.
LEVEL = 1e-6
CONTINUOUS = {
    "uniform": ({"low": -1.0, "high": 3.0}, stats.uniform(-1, 4)),
    "normal": ({"loc": 1.0, "scale": 2.0}, stats.norm(1, 2)),
    "gamma": ({"alpha": 2.5, "beta": 0.5}, stats.gamma(2.5, scale=0.5)),
    "exponential": ({"lam": 4.0}, stats.expon(scale=0.25)),
}
DISCRETE = {
    "poisson": ({"lam": 3.0}, stats.poisson(3)),
    "negative_binomial": ({"k": 3, "p": 0.4}, stats.nbinom(3, 0.4)),
    "generalized_negative_binomial": ({"mu": 2.0, "alpha": 0.5}, stats.nbinom(2, 0.5)),
}
INPUTS = {"normal": ("mu", "sigma")}


def operator(name):
    return getattr(mx.sym._internal, name)


def run(symbol, **arrays):
    mx.random.seed(3)
    return [output.asnumpy() for output in symbol.eval(**{k: mx.nd.array(v) for k, v in arrays.items()})]


def draws(name, way, params):
    """Many draws of one distribution, in one of the three ways."""
    if way == "numbers":
        return run(operator(f"_random_{name}")(shape=(COUNT,), **params))[0]
    if way == "like":
        return run(getattr(mx.sym.random, f"{name}_like")(mx.sym.Variable("x"), **params), x=np.zeros(COUNT))[0]
    names = INPUTS.get(name, tuple(params))
    symbol = operator(f"_sample_{name}")(*map(mx.sym.Variable, names), shape=(COUNT,))
    # The second row has other parameters, which must not reach the first.
    arrays = {n: np.array([value, value * 0.5]) for n, value in zip(names, params.values())}
    result = run(symbol, **arrays)[0]
    assert result.shape == (2, COUNT)
    assert not np.array_equal(result[0], result[1])
    return result[0]


WAYS = ["numbers", "like", "arrays"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_distributions(name, way):
    params, distribution = CONTINUOUS[name]
    assert stats.kstest(draws(name, way, params), distribution.cdf).pvalue > LEVEL


def frequencies_agree(numbers, distribution):
    """A chi-squared test of whole numbers, those that are rare taken together."""
    last = int(distribution.ppf(0.999))
    expected = distribution.pmf(np.arange(last)) * len(numbers)
    seen = np.bincount(np.minimum(numbers.astype(int), last), minlength=last + 1)
    return stats.chisquare(seen, [*expected, len(numbers) - expected.sum()]).pvalue > LEVEL


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_distributions(name, way):
    params, distribution = DISCRETE[name]
    numbers = draws(name, way, params)
    assert (numbers == numbers.round()).all()
    assert frequencies_agree(numbers, distribution)


def test_no_dispersion_is_poisson():
    numbers = draws("generalized_negative_binomial", "numbers", {"mu": 3.0, "alpha": 0.0})
    assert frequencies_agree(numbers, stats.poisson(3))


def test_whole_numbers():
    symbol = operator("_random_randint")(low=-2, high=3, shape=(COUNT,))
    numbers = run(symbol)[0]
    assert numbers.dtype == "int32"
    values, counts = np.unique(numbers, return_counts=True)
    assert values.tolist() == [-2, -1, 0, 1, 2]
    assert stats.chisquare(counts).pvalue > LEVEL
    assert run(operator("_random_randint")(low=0, high=3, shape=(2,), dtype="int64"))[0].dtype == "int64"


@pytest.mark.parametrize("name", [*CONTINUOUS, *DISCRETE])
def test_types_and_shapes(name):
    random = operator(f"_random_{name}")
    for dtype in ("float16", "float32", "float64"):
        assert run(random(shape=(2, 3), dtype=dtype))[0].dtype == dtype
    assert random(shape=(2, 3)).infer_type()[1] == [np.float32]
    x = mx.sym.Variable("x")
    assert (random() + x).infer_shape(x=(2, 3))[1] == [(2, 3)]
    assert (random(shape=(0, 3)) + x).infer_shape(x=(2, 3))[1] == [(2, 3)]
    names = INPUTS.get(name, tuple({**CONTINUOUS, **DISCRETE}[name][0]))
    sample = operator(f"_sample_{name}")(*map(mx.sym.Variable, names), shape=(4, 5))
    assert sample.infer_shape(**{names[0]: (2, 3)})[1] == [(2, 3, 4, 5)]
    assert sample.infer_type(**{names[0]: "float64"})[1] == [np.float32]


def test_seeds():
    symbol = mx.sym.random.normal(shape=(5,))
    executor = symbol.simple_bind(mx.cpu())
    mx.random.seed(11)
    first = executor.forward()[0].asnumpy()
    second = executor.forward()[0].asnumpy()
    mx.random.seed(11)
    assert (executor.forward()[0].asnumpy() == first).all()
    assert (first != second).all()


def test_two_draws_are_two_values():
    a, b = mx.sym.random.uniform(shape=(4,)), mx.sym.random.uniform(shape=(4,))
    assert (run(a - b)[0] != 0).all()
    assert (run(a - a)[0] == 0).all()


def test_multinomial():
    table = np.array([[0.1, 0.6, 0.3], [1.0, 0.0, 0.0]])
    numbers, logarithms = run(
        operator("_sample_multinomial")(mx.sym.Variable("x"), shape=(COUNT,), get_prob=True), x=table
    )
    assert numbers.dtype == "int32"
    assert stats.chisquare(np.bincount(numbers[0]), table[0] * COUNT).pvalue > LEVEL
    assert (numbers[1] == 0).all()
    np.testing.assert_allclose(logarithms[0], np.log(table[0])[numbers[0]], rtol=1e-6)


def test_multinomial_shapes():
    x = mx.sym.Variable("x")
    for data, shape, expected in [
        ((3,), (), (1,)),
        ((3,), 5, (5,)),
        ((2, 3), (), (2,)),
        ((4, 2, 3), (5, 6), (4, 2, 5, 6)),
    ]:
        symbol = operator("_sample_multinomial")(x, shape=shape)
        assert symbol.infer_shape(x=data)[1] == [expected]
        assert run(symbol, x=np.ones(data))[0].shape == expected


def test_gradient_of_drawn_probabilities():
    table = np.array([[0.1, 0.9], [0.5, 0.5]])
    symbol = operator("_sample_multinomial")(mx.sym.Variable("x"), shape=(7,), get_prob=True)
    executor = symbol.simple_bind(mx.cpu(), x=(2, 2))
    executor.arg_dict["x"][:] = table
    numbers = executor.forward(is_train=True)[0].asnumpy()
    executor.backward([mx.nd.zeros((2, 7), dtype="int32"), mx.nd.ones((2, 7))])
    counts = np.array([np.bincount(row, minlength=2) for row in numbers])
    np.testing.assert_allclose(executor.grad_dict["x"].asnumpy(), counts / table, rtol=1e-5)


def test_parameters_get_a_zero_gradient():
    symbol = operator("_sample_uniform")(mx.sym.Variable("low"), mx.sym.Variable("high"))
    executor = symbol.simple_bind(mx.cpu(), low=(2,))
    executor.grad_dict["low"][:] = 5
    executor.forward(is_train=True)
    executor.backward(mx.nd.ones((2,)))
    assert executor.grad_dict["low"].asnumpy().tolist() == [0, 0]


def test_shuffle():
    data = np.arange(400).reshape(200, 2)
    shuffled = run(mx.sym.random.shuffle(mx.sym.Variable("x")), x=data)[0]
    assert not np.array_equal(shuffled, data)
    assert sorted(map(tuple, shuffled)) == sorted(map(tuple, data))


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("uniform", {"low": 2, "high": 1}, "low <= high.*low=2.0, high=1.0"),
        ("normal", {"scale": -1}, "scale > 0"),
        ("gamma", {"alpha": 0}, "alpha > 0"),
        ("exponential", {"lam": 0}, "lam > 0"),
        ("poisson", {"lam": -1}, "lam >= 0"),
        ("negative_binomial", {"p": 1.5}, "p <= 1"),
        ("generalized_negative_binomial", {"mu": -1}, "mu >= 0"),
        ("randint", {"low": 3, "high": 3}, "low < high"),
    ],
)
def test_impossible_parameters(name, params, message):
    with pytest.raises(mx.MXNetError, match=message):
        operator(f"_random_{name}")(shape=(2,), **params)


def test_half_symbols_half_numbers_are_refused():
    with pytest.raises(ValueError, match="all be symbols"):
        mx.sym.random.normal(mx.sym.Variable("mean"), 1.0)


def test_functions_of_symbols():
    low, high = mx.sym.Variable("low"), mx.sym.Variable("high")
    assert '"op": "_sample_uniform"' in mx.sym.random.uniform(low, high, shape=3).tojson()
    assert '"lam": "0.5"' in mx.sym.random.exponential(scale=2).tojson()
    assert len(mx.sym.random.multinomial(low)) == 2
    assert run(mx.sym.random.randn(2, 3))[0].shape == (2, 3)
