"""Commands that keep an installation healthy: retry, verify, doctor, health, purge, rebuild."""
