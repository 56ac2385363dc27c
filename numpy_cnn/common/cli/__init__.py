"""The command line that both programs share: one file per command."""
