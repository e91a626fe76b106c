"""The commands of ``wrp``: flags in, exit codes out; what they do lives in the other rooms."""
