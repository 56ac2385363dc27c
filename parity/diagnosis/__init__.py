"""What happens to a failure once it is found: made smaller, explained, written as a script, saved, run again."""
