"""Names that transfer programs, browsers and sync clients give to what they have not finished."""

from __future__ import annotations

import re

# Last extensions that programs give to unfinished files, in any letter case.
_EXTENSIONS = frozenset(
    " ".join(
        (
            # many programs, among them Firefox, KDE, yt-dlp, Transmission, ownCloud (NAME.ocTransferId123.part)
            "part",
            # rclone (also NAME.HASH.partial), OneDrive for Linux, Aspera, Shareaza; WinSCP; lftp as people set it up
            "partial filepart lftp",
            # Chrome and Edge, Opera, Safari (a folder), DownThemAll, Free Download Manager, Xunlei, UC Browser
            "crdownload opdownload download dtapart fdmdownload xltd ucdownload",
            # beside a file that has its full length from the start: aria2, lftp's pget, yt-dlp, Aspera
            "aria2 lftp-pget-status ytdl aspera-ckpt haspx",
            # BitTorrent clients, Resilio Sync
            "!ut !qb !bt !sync bc! az! ob!",
            # Cyberduck (a folder), FreeFileSync, gsutil and gcloud, others
            "cyberducksegment ffs_tmp gstmp inprogress unconfirmed",
        )
    ).split()
)

# Everything else. `(?i:…)` where a program's names are the same in any case.
_NAMES = re.compile(
    "|".join(
        (
            # rsync's folders: --delay-updates, --partial-dir, and a usual --temp-dir
            r"\.~tmp~|\.rsync-(?:partial|tmp)",
            # lftp and ProFTPD (.in.NAME and .in.NAME.), Pure-FTPd, SFTPGo, Apache's and other WebDAV servers
            r"\.in\..+|\.(?:pureftpd-upload|sftpgo-upload|davfs\.tmp|upload-).+",
            # the clients of ownCloud and Nextcloud (.NAME.~1a2b3c4d), Syncthing, Unison
            r"\..+\.~[0-9a-f]{1,8}|[.~]syncthing[.~].+\.tmp|\.unison\..+\.unison\.tmp",
            # Google Drive, Dropbox, MEGA, iCloud (a name whose content is elsewhere), AzCopy
            r"\.tmp\.drive(?:download|upload)|\.~dropbox.*|\.(?:getxfer|megatmp)\..+|\..+\.icloud|\.azDownload-.+",
            # macOS (TextEdit, Office: NAME.sb-1a2b3c4d-Ab1cD2), GNOME
            r".+\.sb-[0-9a-f]{8}-[A-Za-z0-9]{6}|\.goutputstream-[A-Za-z0-9]{6}|\.giosave.+",
            # Office and OneDrive for Windows (~WRD0001.tmp, ~DF….tmp), Excel (8 hexadecimal digits), PowerPoint
            r"(?i:~.+\.tmp)|[0-9A-F]{8}\.tmp|ppt[0-9A-F]{1,4}\.tmp",
            # the AWS command line: NAME.C1eF0a9B; digits alone are a date, letters of one case a hash
            r".+\.(?=[0-9A-Fa-f]*[a-f])(?=[0-9A-Fa-f]*[A-F])[0-9A-Fa-f]{8}",
            # rsync (.NAME.6kVLuA), Chrome; the rsync of macOS has ten characters
            r"\..+\.(?P<random>[A-Za-z0-9]{6}|[A-Za-z0-9]{10})",
        )
    ),
    re.DOTALL,
)

# One in two hundred of rsync's names has six small letters, and so have many hidden files that are data. These words
# are data. Any other word waits: a wrong guess there costs a day, a wrong one here costs a file.
_WORDS = (
    "active annots answer arrays assets author avatar backup before binary bundle cached camera center charts"
    " client cohort colors column common compat config course cursor custom datset deploy design detail device"
    " dicoms digest docker domain dotnet driver dryrun editor effect energy engine entity epochs errors events"
    " export extras family female fields figure filter finish folder format frames future gender genome github"
    " gitlab global gradle graphs groovy groups header height hidden hourly ignore images import indexs inputs"
    " joined kernel labels latest layers layout legacy length levels limits listed loader locale locked logger"
    " making manual mapped margin marker masked master matrix median medium member memory meshes method metric"
    " middle mirror mobile models module months motion nested neuron normal normed notice number object offset"
    " online option orient origin output packed packet params parent parser passed paused people person phases"
    " pickle player plugin points policy pooled posted prefix preset pretty probes public pulses python random"
    " ranges ratios reader readme record reduce region remote repeat report resize result review rotate rounds"
    " sample saving scaled schema scores script search second secret secure select sender sensor serial series"
    " server shapes shared sheets signal signed simple single sketch slices smooth sorted source spaces speech"
    " sphere sqlite stable stages states static status stereo stored stream strict string styles subset summed"
    " survey symbol syntax system tables target tested thread tissue tokens topics traces tracks trends trials"
    " tumors tuning update upload usable values vector vendor verify vertex videos viewer visits visual voices"
    " volume voxels weight window wizard worker writer yearly zipped"
)
_DATA = frozenset(_WORDS.split())


def is_unfinished(name: str) -> bool:
    """Whether a transfer program gives such a name (one path component) to an unfinished file. Called for every name
    in every arrival, so the usual name needs no regular expression.
    """
    _, dot, last = name.rpartition(".")
    if dot and last.lower() in _EXTENSIONS:
        return True
    if name[:1] not in (".", "~") and not (dot and (len(last) == 8 or last == "tmp" or "-" in last)):
        return False
    found = _NAMES.fullmatch(name)
    return found is not None and not _is_word(found["random"])


def _is_word(random: str | None) -> bool:
    if random is None:
        return False
    return random.isdigit() or random.lower() in _DATA or (len(random) == 10 and random.islower())
