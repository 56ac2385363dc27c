"""An experiment on dense layers and convolutions with shifted digits."""
