"""``mx.test_utils``: what tests of networks and operators need.

``environment`` says where tests run; ``tolerance`` and ``comparison`` when numbers are equal; ``arrays`` makes random
ones; ``symbols`` checks what a symbol computes and its gradients; ``generators`` whether random numbers have their
distribution; ``optimizers`` whether two optimizers agree; ``datasets`` fetches public data.
"""

from ..context import current_context as default_context
from ..context import set_default_context
from .arrays import (
    assign_each,
    assign_each2,
    collapse_sum_like,
    create_2d_tensor,
    create_vector,
    np_reduce,
    rand_coord_2d,
    rand_ndarray,
    rand_shape_2d,
    rand_shape_3d,
    rand_shape_nd,
    random_arrays,
    random_sample,
    random_uniform_arrays,
)
from .comparison import (
    almost_equal,
    assert_allclose,
    assert_almost_equal,
    assert_almost_equal_ignore_nan,
    assert_almost_equal_with_err,
    compare_ndarray_tuple,
    find_max_violation,
    same,
    same_array,
    same_symbol_structure,
)
from .datasets import (
    download,
    get_bz2_data,
    get_cifar10,
    get_mnist,
    get_mnist_iterator,
    get_mnist_ubyte,
    get_zip_data,
)
from .environment import (
    DummyIter,
    EnvManager,
    assert_exception,
    discard_stderr,
    environment,
    get_im2rec_path,
    list_gpus,
    retry,
    set_env_var,
)
from .generators import chi_square_check, gen_buckets_probs_with_ppf, mean_check, var_check, verify_generator
from .optimizers import compare_optimizer
from .symbols import (
    check_consistency,
    check_numeric_gradient,
    check_speed,
    check_symbolic_backward,
    check_symbolic_forward,
    numeric_grad,
    simple_forward,
)
from .tolerance import (
    default_atols,
    default_dtype,
    default_numeric_eps,
    default_rtols,
    effective_dtype,
    get_atol,
    get_etol,
    get_rtol,
    get_tolerance,
    get_tols,
)
