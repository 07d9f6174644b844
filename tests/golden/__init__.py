"""Numbers, names and texts recorded from MXNet 1.9.1, and the tests that compare this package with them."""
