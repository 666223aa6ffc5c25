"""An SFTP client (version 3, with OpenSSH's extensions where a server has them): for destinations, for logs on other
machines, and for the sender. It knows nothing of config.yaml, Django or POSIX.

accounts, pace                                       what callers say: who logs in with what, and how fast bytes may go
login, hostkeys, trust                               which servers are trusted, and logging in
wire, channel, connection, runtime                   from packets to one kept connection an account
remote, streams, reading, faults                     files and folders of a server, and what goes wrong with them
uploads/                                             sends many files at once
"""
