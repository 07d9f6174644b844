"""Graph to graph: each pass is one pure function in one file. None knows an operator by name, but for patterns."""
