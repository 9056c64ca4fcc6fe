"""apt and dpkg as far as the stages need them.

Packages are files named after them, of three lines: version, dependencies, conflicts.
"""

from pathlib import Path

from a_machine import AMachine

# Bash alone: these are called hundreds of times, and to start sed or cp takes longer than all they do.
_FIELDS = """
    fields() {
      mapfile -t field <"$1"; version=${field[0]}; depends=${field[1]}; conflicts=${field[2]}
      needs=$depends  # the names alone
      while [[ $needs =~ \\([^\\)]*\\) ]]; do needs=${needs/"${BASH_REMATCH[0]}"/}; done
    }
"""
APT_GET = (
    _FIELDS
    + """
    while [ "${1#-}" != "$1" ]; do shift; done
    # What is held is never removed for another package, whatever else is allowed: apt's problem resolver gives up.
    require_free() {
      local version depends conflicts needs needed other field
      [ -f "$STATE/archive/$1" ] || return 0
      fields "$STATE/archive/$1"
      for other in ${conflicts//,/ }; do
        [ ! -f "$STATE/installed/$other" ] || [ ! -f "$STATE/held/$other" ] || {
          echo "E: Error, pkgProblemResolver::Resolve generated breaks, this may be caused by held packages." >&2
          exit 100
        }
      done
      for needed in ${needs//,/ }; do require_free "$needed"; done
    }
    install() {
      local version depends conflicts needs needed other field
      [ -f "$STATE/archive/$1" ] || return 0
      fields "$STATE/archive/$1"
      printf '%s\\n' "${field[@]}" >"$STATE/installed/$1"
      for other in ${conflicts//,/ }; do [ ! -f "$STATE/installed/$other" ] || rm "$STATE/installed/$other"; done
      for needed in ${needs//,/ }; do install "$needed"; done
    }
    case "$1" in
      update) [ ! -f "$STATE/apt-update-fails" ] || { echo "E: Could not get lock" >&2; exit 100; } ;;
      install)
        ignored=no
        for word; do
          case "$word" in
            APT::Ignore-Hold=true) ignored=yes ;;
            *=*) version='' name=${word%%=*} asked=${word#*=}
              [ ! -f "$STATE/archive/$name" ] || fields "$STATE/archive/$name"
              [ "$version" = "$asked" ] || { echo "E: Version not found" >&2; exit 100; }
              [ "$ignored" = yes ] || require_free "$name"
              install "$name" ;;
          esac
        done ;;
    esac
"""
)
APT_CACHE = (
    _FIELDS
    + """
    [ "$2" != --no-all-versions ] || set -- "$1" "$3"
    version=''
    [ ! -f "$STATE/archive/$2" ] || fields "$STATE/archive/$2"
    case "$1" in
      policy) printf '%s:\\n  Installed: (none)\\n  Candidate: %s\\n' "$2" "${version:-(none)}" ;;
      show)
        [ -f "$STATE/archive/$2" ] || { echo "N: Unable to locate package $2" >&2; exit 100; }
        printf 'Package: %s\\nVersion: %s\\nDepends: %s\\nConflicts: %s\\n' "$2" "$version" "$depends" "$conflicts" ;;
      madison) echo " $2 | $version | https://mirror.example" ;;
    esac
"""
)
DPKG_QUERY = (
    _FIELDS
    + """
    shift 2; format=$1; shift
    for pattern; do
      for f in "$STATE"/installed/$pattern; do
        [ -f "$f" ] || continue
        fields "$f"
        case "$format" in
          *Depends*) echo "$depends" ;;
          *Version*) printf 'installed %s' "$version" ;;
          *) echo "installed ${f##*/}" ;;
        esac
      done
    done
"""
)


def packages(machine: AMachine, **archive: str) -> None:
    """An archive with these packages (`_` for `-`), nothing installed, everything on PATH that the stages call."""
    for folder in ("archive", "installed", "held"):
        (machine.state / folder).mkdir(exist_ok=True)
    for name, version in archive.items():
        offer(machine, name.replace("_", "-"), version)
    machine.program("apt-get", APT_GET)
    machine.program("apt-cache", APT_CACHE)
    machine.program("dpkg-query", DPKG_QUERY)
    machine.program("dpkg", '[ "$1" != --print-architecture ] || echo amd64')
    machine.program("apt-mark", 'shift; for name; do : >"$STATE/held/$name"; done')
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
