"""The format of access logs' lines: Apache's LogFormat and nginx's log_format as one expression over bytes."""
