"""The contract between the backends: sizes, initial parameters, configuration, protocol, errors."""
