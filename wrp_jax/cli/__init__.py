"""The commands: flags in, exit codes out."""
