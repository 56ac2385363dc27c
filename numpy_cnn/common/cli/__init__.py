"""The command line shared by both programs: one file per command."""
