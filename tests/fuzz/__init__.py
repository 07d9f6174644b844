"""Files made to do harm: every reader of a file from elsewhere may refuse it, and may do nothing else.

Whatever the bytes, reading ends within a second in a result, or in an MXNetError, ValueError or TypeError; it never
takes much more memory than the file has bytes, and never brings the process down. :mod:`.contract` is that rule,
:mod:`.seeds` holds good files, :mod:`.mutation` damages them knowing their format, and :mod:`.targets` says who reads
them. ``test_contract.py`` tries some thousands in every run of the tests; ``make fuzz`` tries as many as one likes.
"""
