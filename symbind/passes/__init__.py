"""Graph to graph: each pass is one pure function in one file, and none knows an operator by name."""
