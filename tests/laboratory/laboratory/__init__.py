"""Real kernels under software emulation, and what they say about themselves."""
