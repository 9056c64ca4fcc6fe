# shellcheck shell=bash
# Which packages are a driver whose kernel module and userland are of one version. Needs stage.sh and packages.sh.
# Ubuntu's archive keeps the module package of a kernel as it was built, but the userland only in its newest version;
# apt installs a closed module of another version beside it, and that pair never works.

# built_for BRANCH DEPENDS: the driver version that a module package with this Depends field was built for; nothing
# when the field does not say.
built_for() {
  [[ $2 =~ nvidia-kernel-common-$1-server\ \(([<>]?=)\ ([0-9]+(\.[0-9]+)+) ]] || return 0
  printf '%s\n' "${BASH_REMATCH[2]}"
}

# upstream VERSION: NVIDIA's part of a package version, such as 580.159.04 of 580.159.04-0ubuntu0.24.04.1.
upstream() { printf '%s\n' "${1%%-*}"; }

# choose_modules BRANCH FLAVOUR KERNEL VERSION: the module package whose module is of that driver version. The running
# kernel's comes first, for the metapackage's costs a reboot. Sets `modules` to the package, empty when none fits, and
# `next_kernel` to the kernel it brings, empty for the running one; `versions` says what apt has.
choose_modules() {
  local branch=$1 name=linux-modules-nvidia-$2 kernel=$3 wanted=$4 meta built
  meta=${kernel#*-}             # 1064-azure of 6.8.0-1064-azure
  meta=$name-${meta#[0-9]*-}
  modules=$name-$kernel next_kernel=""
  built=$(built_for "$branch" "$(depends "$modules")")
  versions="the modules for the running kernel $kernel are ${built:+of }${built:-not there}"
  [[ $built != "$wanted" ]] || return 0
  modules=""
  [[ $(depends "$meta") =~ $name-([0-9][^ ,]*) ]] || { versions+=", $meta is not there"; return 0; }
  next_kernel=${BASH_REMATCH[1]}
  built=$(built_for "$branch" "$(depends "$name-$next_kernel")")
  versions+=", those of $meta (kernel $next_kernel) ${built:+of }${built:-not there}"
  [[ $built == "$wanted" ]] || return 0
  modules=$meta
}
