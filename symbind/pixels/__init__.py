"""Images below arrays and iterators: files to pixels and back, sizes, colours, and the boxes of what is in them.

Operators, record files, ``mx.image`` and ``mx.io`` all stand on this; it knows none of them.
"""
