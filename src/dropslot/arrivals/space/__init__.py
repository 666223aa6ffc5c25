"""Whether there is room, and how long there will be.

trees         the folders whose space is looked at by themselves
counting      what each of them holds: counted from our own deliveries, corrected by a rare walk
measuring     what limits each: file systems, quotas, servers, a quota of config.yaml
spaces        all of it, as people see it
trends        how fast it fills
waiting       arrivals that wait for room, and when they go on
watch         does this from time to time, beside the sentinel
"""
