"""An SFTP client (version 3, with OpenSSH's extensions where a server has them): for destinations, for logs on other
machines, and for the sender.

wire, channel, connection, login, hostkeys, runtime  from packets to one kept connection an account
remote, streams, reading, feed, pace                 files and folders of a server
"""
