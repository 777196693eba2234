"""Another container on the volume, of another user and of group 0 as CUBE's are: what may it do there?"""

from typing import Final

from demo.compose.project import Project

NEIGHBOUR: Final = "1002:0"

_TRY = """
import os, pathlib, sys
file = pathlib.Path('/data', sys.argv[1])
about, folder = file.stat(), file.parent.stat()
assert len(file.read_bytes()) == about.st_size
renamed = file.rename(file.with_name('renamed.dcm'))
renamed.unlink()
(file.parent / 'mine').write_text('x')
(file.parent / 'mine').unlink()
print(f'file {about.st_mode & 0o7777:04o}, folder {folder.st_mode & 0o7777:04o},',
      f'{about.st_uid}:{about.st_gid}; {os.getuid()}:{os.getgid()} read, renamed and deleted the file')
"""


def check_rights(project: Project, path: str) -> str:
    """Read, rename and delete a stored file in a container of another uid; returns what was seen.

    Args:
        project: whose volume.
        path: a file that may go, below the storage root.

    Raises:
        ProjectError: one of them was forbidden.
    """
    image = project.inspect(project.containers("registrar")[0])["Config"]["Image"]
    volume = project.volume("receiver", "/data")
    return project.docker(
        *("run", "--rm", "--network", "none", "--user", NEIGHBOUR, "--volume", f"{volume}:/data"),
        *(image, "python", "-c", _TRY, path),
    ).strip()
