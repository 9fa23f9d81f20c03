"""What the operator allows: the sources that jobs read and the models that are loaded."""
