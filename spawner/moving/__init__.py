"""From a Hub that starts its servers with batchspawner's SlurmSpawner to compute.yaml."""
