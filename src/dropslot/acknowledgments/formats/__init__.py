"""How lines of access logs are written: what LogFormat and log_format say, as one expression over bytes."""
