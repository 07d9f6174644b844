"""How fast symbind is, measured side by side with its peers: ``python -m benchmarks``. See README.md."""
