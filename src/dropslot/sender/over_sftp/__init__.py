"""An inbox at a server that speaks SFTP.

inbox                signs in, and does what the engine asks for
signing_in           keys, agent, password, second factor: limited tries, each question asked once
bag_upload           the files of a bag on their way, resumed where they were
bag_finish           what is there is compared, then the bag gets its name
words, faults        errors for a person at a collection PC
"""
