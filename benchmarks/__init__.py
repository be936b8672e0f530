"""What BeamHub costs, beside its peer or the floor in the same run: python -m benchmarks [NAME…]."""
