"""apt and dpkg as far as the stages need them: packages are files named after them that hold their version."""

from pathlib import Path

from a_machine import AMachine

APT_GET = """
    while [ "${1#-}" != "$1" ]; do shift; done
    case "$1" in
      update) [ ! -f "$STATE/apt-update-fails" ] || { echo "E: Could not get lock" >&2; exit 100; } ;;
      install)
        for word; do
          case "$word" in
            *=*) name=${word%%=*}; version=${word#*=}
              there=$(cat "$STATE/archive/$name" 2>/dev/null)
              [ "$there" = "$version" ] || { echo "E: Version not found" >&2; exit 100; }
              echo "$version" >"$STATE/installed/$name" ;;
          esac
        done ;;
    esac
"""
APT_CACHE = """
    case "$1" in
      policy)
        printf '%s:\\n  Installed: (none)\\n' "$2"
        echo "  Candidate: $(cat "$STATE/archive/$2" 2>/dev/null || echo '(none)')" ;;
      madison) for f in "$STATE/archive/$2"; do echo " $2 | $(cat "$f") | https://mirror.example"; done ;;
    esac
"""
DPKG_QUERY = """
    shift 2; format=$1; shift
    for pattern; do
      for f in "$STATE"/installed/$pattern; do
        [ -f "$f" ] || continue
        case "$format" in
          *Version*) printf 'installed %s' "$(cat "$f")" ;;
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


def offer(machine: AMachine, name: str, version: str) -> None:
    (machine.state / "archive" / name).write_text(version + "\n", encoding="utf-8")


def install(machine: AMachine, name: str, version: str) -> None:
    (machine.state / "installed" / name).write_text(version + "\n", encoding="utf-8")


def installed(machine: AMachine) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8").strip() for path in _files(machine.state / "installed")}


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())
