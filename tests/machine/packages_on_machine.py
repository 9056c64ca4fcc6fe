"""apt and dpkg as far as the stages need them.

Packages are files named after them, of three lines: version, dependencies, conflicts.
"""

from pathlib import Path

from a_machine import AMachine

APT_GET = """
    while [ "${1#-}" != "$1" ]; do shift; done
    install() {
      [ -f "$STATE/archive/$1" ] || return 0
      cp "$STATE/archive/$1" "$STATE/installed/$1"
      for other in $(sed -n '3{s/,/ /g;p}' "$STATE/archive/$1"); do rm -f "$STATE/installed/$other"; done
      for needed in $(sed -n '2{s/([^)]*)//g;s/,/ /g;p}' "$STATE/archive/$1"); do install "$needed"; done
    }
    case "$1" in
      update) [ ! -f "$STATE/apt-update-fails" ] || { echo "E: Could not get lock" >&2; exit 100; } ;;
      install)
        for word; do
          case "$word" in
            *=*) name=${word%%=*}; version=${word#*=}
              there=$(sed -n 1p "$STATE/archive/$name" 2>/dev/null)
              [ "$there" = "$version" ] || { echo "E: Version not found" >&2; exit 100; }
              install "$name" ;;
          esac
        done ;;
    esac
"""
APT_CACHE = """
    [ "$2" != --no-all-versions ] || set -- "$1" "$3"
    case "$1" in
      policy)
        there=$(sed -n 1p "$STATE/archive/$2" 2>/dev/null)
        printf '%s:\\n  Installed: (none)\\n' "$2"
        echo "  Candidate: ${there:-(none)}" ;;
      show)
        [ -f "$STATE/archive/$2" ] || { echo "N: Unable to locate package $2" >&2; exit 100; }
        sed -e "1s/^/Package: $2\\nVersion: /" -e '2s/^/Depends: /' -e '3s/^/Conflicts: /' "$STATE/archive/$2" ;;
      madison) for f in "$STATE/archive/$2"; do echo " $2 | $(sed -n 1p "$f") | https://mirror.example"; done ;;
    esac
"""
DPKG_QUERY = """
    shift 2; format=$1; shift
    for pattern; do
      for f in "$STATE"/installed/$pattern; do
        [ -f "$f" ] || continue
        case "$format" in
          *Depends*) sed -n 2p "$f" ;;
          *Version*) printf 'installed %s' "$(sed -n 1p "$f")" ;;
          *) echo "installed $(basename "$f")" ;;
        esac
      done
    done
"""


def packages(machine: AMachine, **archive: str) -> None:
    """An archive with these packages (`_` for `-`), nothing installed, everything on PATH that the stages call."""
    for folder in ("archive", "installed"):
        (machine.state / folder).mkdir(exist_ok=True)
    for name, version in archive.items():
        offer(machine, name.replace("_", "-"), version)
    machine.program("apt-get", APT_GET)
    machine.program("apt-cache", APT_CACHE)
    machine.program("dpkg-query", DPKG_QUERY)
    machine.program("dpkg", '[ "$1" != --print-architecture ] || echo amd64')
    machine.program("apt-mark", "")
    machine.program("sleep", "")
    machine.program("cloud-init", "exit ${CLOUD_INIT_STATUS:-0}")
    machine.program("systemctl", "")


def offer(machine: AMachine, name: str, version: str, depends: str = "", conflicts: str = "") -> None:
    """A package of the archive, with fields as in its control file."""
    (machine.state / "archive" / name).write_text(f"{version}\n{depends}\n{conflicts}\n", encoding="utf-8")


def install(machine: AMachine, name: str, version: str) -> None:
    (machine.state / "installed" / name).write_text(version + "\n", encoding="utf-8")


def installed(machine: AMachine) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8").splitlines()[0] for path in _files(machine.state / "installed")}


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())
