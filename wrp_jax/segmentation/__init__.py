"""g_ψ ready for use: a network with its inference, or predictions from files."""
