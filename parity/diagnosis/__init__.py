"""Processing of a failure: shrinking, evidence, and a stand-alone script."""
