"""Mail: the server of config.yaml's key `mail`, and sending without making anybody wait."""
