"""Folders of a server that speaks SFTP.

targets, probe, modes, looking              the state of a target, and what the server can do
staging, tree, upload, publishing           the steps of a delivery
drop, destination, rules, preflight         the interface to the pipeline
"""
