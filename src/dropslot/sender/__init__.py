"""The sender, for the command line and the window: it finds what is new on a collection PC, sends it as a bag, and
knows from a signed receipt that it was delivered. It runs on Windows, macOS and Linux, without Django.
"""
