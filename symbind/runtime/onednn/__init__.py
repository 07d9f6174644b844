"""The fast engine for x86-64 CPUs: oneDNN's kernels, called without a compiler at installation.

From the bottom: ``declarations`` (the C interface), ``library`` (finding and loading it), ``engine`` (the CPU),
``memory`` (layouts and addresses), ``primitive`` (a kernel: ask, look, bind), and one file per family of kernels:
``convolution``, ``matmul``, ``normalization``, ``pooling``, ``elementwise``, ``reduction``, ``movement`` and
``recurrent``. None of these knows the graph.
"""
