"""What config.yaml and the sender's settings.yaml share: YAML as plain data, mistakes in words, sizes, rates."""
