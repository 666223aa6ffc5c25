"""Folders of a server that speaks SFTP (version 3, with OpenSSH's extensions where it has them).

wire, channel, connection, login, hostkeys, runtime    from packets to one kept connection an account
remote, places, probe, modes, looking, files, reading  files and folders of a server
staging, tree, sending, feed, upload, publishing       the way of an arrival
drop, destination, rules                               what the pipeline sees
"""
