"""Why a dense layer fails on a shifted digit: an experiment."""
