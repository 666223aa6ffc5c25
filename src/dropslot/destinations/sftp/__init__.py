"""Folders of a server that speaks SFTP.

targets, probe, modes, looking              what is there, and what the server can do
staging, tree, sending, upload, publishing  the way of an arrival
drop, destination, rules, preflight         what the pipeline sees
"""
