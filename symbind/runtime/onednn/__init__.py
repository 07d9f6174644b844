"""The fast engine for x86-64 CPUs: oneDNN's kernels, called without a compiler at installation.

From the bottom: ``declarations`` (the C interface), ``library`` (finding and loading it), ``engine`` (the CPU),
``memory`` (layouts and addresses), ``primitive`` (a kernel: ask, look, bind), and one file per family of kernels:
``convolution``, ``matmul``, ``normalization``, ``pooling``, ``elementwise``, ``reduction``, ``movement`` and
``recurrent``. None of these knows the graph.

On top of that, the engine that graphs run on: ``graph_engine`` (whom the runtime talks to), ``implementation`` (how a
primitive serves a node), ``operators`` (which operators there are kernels for, a file per family), and ``fused`` (what
is done in one go although a graph says it in several nodes).
"""
