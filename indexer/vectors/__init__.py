"""One vector index: the protocol, exact search, FAISS, the GPU replica, quantization and kernels."""
